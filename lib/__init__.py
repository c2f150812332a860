"""Robust, Private, Uncertain: the code behind three replications.

One flow, one folder a step, imports along it:

    data -> models, uncertainty, training -> evasion -> metrics -> runs -> published, claims, tables, figures -> book
"""
