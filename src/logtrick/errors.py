"""The errors that logtrick raises on purpose.

    LogtrickError
    ├── ConfigError             a setting that cannot be meant: a size, a name, a combination
    ├── ShapeError              an array whose shape or dtype does not fit the others
    ├── PrecisionError          float64 was needed inside a transform that only has float32
    ├── ConvergenceError        an iteration that missed its tolerance
    ├── MDPError                a finite MDP that is not one: state, action or line named
    │   ├── ImproperPolicyError a policy that never ends at γ = 1
    │   └── MultichainError     two closed classes where one is needed
    ├── EnvError                an environment that breaks its contract
    │   ├── UnknownEnvError     no environment of that name; the nearest names are given
    │   │   └── ModuleNotLoadedError  a run folder's environment is in a module to be imported
    │   └── SpaceError          a space that the policy or the algorithm cannot serve
    ├── MissingExtraError       an optional dependency; the install line is given
    ├── RunError                a run folder that cannot be used
    │   ├── CheckpointError     a checkpoint that does not verify or does not fit
    │   └── RunLockedError      another process writes in this folder
    ├── NonFiniteError          NaN or infinity that training met, or that finite numbers gave
    └── EstimatorError          an estimator that breaks the audit's contract

Every message says what is wrong, where, and what to do. At the command line a `LogtrickError`
is printed without a traceback and the exit status is 2.
"""

from typing import Any


class LogtrickError(Exception):
    """Base of every error that logtrick raises on purpose."""


class ConfigError(LogtrickError, ValueError):
    """A setting that cannot be meant."""


class ShapeError(LogtrickError, ValueError):
    """An array whose shape or dtype does not fit."""


class PrecisionError(LogtrickError, TypeError):
    """Float64 is needed here, and the surrounding transform has only float32."""


class ConvergenceError(LogtrickError, ArithmeticError):
    """An iteration that did not reach its tolerance; nothing is returned as if it had."""


class MDPError(LogtrickError, ValueError):
    """A finite MDP, or a file of one, that is not well formed."""


class ImproperPolicyError(MDPError):
    """At γ = 1 the policy does not reach termination from every state."""


class MultichainError(MDPError):
    """The policy's chain has more than one closed class."""


class EnvError(LogtrickError, RuntimeError):
    """An environment that breaks its contract, or failed."""


class UnknownEnvError(EnvError):
    """No environment has this name."""


class ModuleNotLoadedError(UnknownEnvError):
    """The id of an environment, from a file, names a module that this process has not imported."""

    def __init__(self, message: str, module: str) -> None:
        super().__init__(message)
        self.module = module

    def __reduce__(self) -> tuple[Any, ...]:
        """For processes that send their errors to another one."""
        return type(self), (str(self), self.module)


class SpaceError(EnvError):
    """An observation or action space that cannot be served."""


class MissingExtraError(LogtrickError, ImportError):
    """An optional dependency that is not installed."""


class RunError(LogtrickError, OSError):
    """A run folder that cannot be used."""


class CheckpointError(RunError):
    """A checkpoint that does not verify, or belongs to something else."""


class RunLockedError(RunError):
    """Another process is writing in this run folder."""


class NonFiniteError(LogtrickError, ArithmeticError):
    """Training produced NaN or infinity, or finite numbers gave what no number of the dtype is."""


class EstimatorError(LogtrickError, ValueError):
    """An estimator that breaks the audit's contract."""
