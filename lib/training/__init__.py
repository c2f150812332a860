"""Training, natural (`fit`) and adversarial (`fit_robust`), and what of it is kept on disk."""

from . import checkpoints as checkpoints
from . import robust as robust
from .natural import AUGMENTATIONS as AUGMENTATIONS
from .natural import TrainingConfig as TrainingConfig
from .natural import TrainingFailed as TrainingFailed
from .natural import fit as fit
from .robust import RobustConfig as RobustConfig
from .robust import fit_robust as fit_robust
