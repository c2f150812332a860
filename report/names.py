"""What the pages call papers, in the order of the book, data sets, networks, attacks, victims and quantities."""

from collections import Counter

from experiments import coverage, papers
from experiments.records import ROOT, Store

CONTENTS = (ROOT / "_toc.yml").read_text(encoding="utf-8")
PAPER_NAMES = {
    paper: paper.replace("_", " ").capitalize()
    for paper in sorted(papers.NAMES, key=lambda paper: CONTENTS.find(f"notebooks/{paper}\n"))
}
REPLICATED = tuple(paper for paper in PAPER_NAMES if paper in papers.REPLICATED)
DATASET_NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "yale": "Yale Face",
    "yale_as_coded": "Yale Face, drawn as coded",
    "yale_split_3": "Yale Face, drawn again",
    "yale_split_4": "Yale Face, drawn once more",
}
ATTACK_NAMES = {
    attack: title
    for paper in papers.NAMES
    for kind in papers.kinds(paper)
    for attack, title in zip(kind.attacks(), kind.TITLES, strict=True)
}
QUANTITY_NAMES = {
    "accuracy": "clean accuracy",
    "adversarial_accuracy": "accuracy under attack",
    "adv_train_accuracy": "training accuracy under attack",
    "adv_test_accuracy": "test accuracy under attack",
    "hop_skip_jump": "success of HopSkipJump",
    "boundary": "success of Boundary",
    "membership": "membership accuracy",
    "inference_benign": "inference accuracy on benign inputs",
    "inference_adversarial": "inference accuracy on adversarial inputs",
    "confidence_benign": "confidence (benign)",
    "model_benign": "model (benign)",
    "confidence_untargeted": "confidence (untargeted)",
    "model_untargeted": "model (untargeted)",
    "model_targeted": "model (targeted)",
}
MEMBERSHIP_NAMES = {
    "odds": "log-odds",
    "entropy": "modified entropy",
    "gap": "gap attack",
    "draw": "log-odds of one draw",
    "spread": "spread over draws",
    "lira": "LiRA",
    "lira_own": "LiRA, variance of each image",
    "lira_offline": "LiRA offline",
    "lira_draw": "LiRA, one draw",
    "lira_spread": "LiRA, spread",
    "rmia": "RMIA",
    "rmia_offline": "RMIA offline",
    "label_only": "labels alone",
}
RATE_NAMES = {
    "auc": "AUC",
    "tpr_at_1pct": "TPR at 1 % FPR",
    "tpr_at_01pct": "TPR at 0.1 % FPR",
    "accuracy": "best threshold",
    "held_out": "threshold held out",
    "control_auc": "AUC of the control",
}
QUANTITY_NAMES |= {
    f"{side}{score}_{rate}": f"{name}{inputs}, {words}"
    for side, inputs in {"": "", "adv_": " on adversarial images"}.items()
    for score, name in MEMBERSHIP_NAMES.items()
    for rate, words in RATE_NAMES.items()
}
QUANTITY_NAMES |= {
    "ece": "calibration error",
    "worst_case_naive": "worst case of the attacks that know nothing of the noise",
    **{
        f"auroc_{images}_entropy": f"AUROC of entropy, {words}"
        for images, words in {
            "wrong": "wrong answers",
            "corrupted": "corrupted images",
            "adversarial": "adversarial images",
            "aware": "adversarial images whose maker knows of it",
        }.items()
    },
}
NETWORK_NAMES = {
    "lenet5": "LeNet-5",
    "resnet18": "ResNet-18",
    "lenet5_coded": "the code’s LeNet",
    "basic_cnn": "basic CNN",
    "basic_cnn_tutorial": "the tutorial’s basic CNN",
    "fully_convolutional_tutorial": "the tutorial’s fully convolutional",
    "fashion_cnn": "CNN",
    "yale_cnn": "CNN",
    "wide_resnet": "wide ResNet",
}
VICTIM_NAMES = {"plain": "plain", "bayesian": "Bayesian", "dropout_rare": "rare dropout", "laplace": "Laplace"}
SCORE_NAMES = {"entropy": "entropy", "mutual_information": "mutual information", "variance": "aleatoric variance"}


def covered(store: Store) -> dict[str, Counter[str]]:
    """The rows of `coverage`, each by author, table, data set and network, such as "Galinkin, Table 1, MNIST, LeNet-5"."""
    known = {**DATASET_NAMES, **NETWORK_NAMES}
    return {
        ", ".join([name, row.location, *(known[word] for word in row.words)]): row.counts
        for paper, name in PAPER_NAMES.items()
        for row in coverage.rows(store)
        if row.paper == paper
    }
