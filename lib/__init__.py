"""Robust, Private, Uncertain: the code behind three replications.

One flow, imports along it:

    data -> models, uncertainty, training -> evasion, membership -> judging, detection
         -> runs -> published, claims, tables, figures -> book
"""
