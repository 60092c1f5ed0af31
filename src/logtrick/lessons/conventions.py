"""The lesson in somebody else's letters: how four sources write what these pages write.

A formula is translated in the linear notation of `mathml`, before it becomes markup, in one pass
from left to right, so that what one rule wrote no other rule reads again.
"""

import re
from collections.abc import Mapping

#: key -> how the notation is called in the menu of every page.
NAMES = {
    "sutton": "Sutton & Barto",
    "cs234": "CS234",
    "gae": "GAE paper",
    "spinning": "Spinning Up",
}

_SUTTON = {
    "V_π": "v_π", "V_γ": "v_π", "V_∗": "v_∗", "Q_π": "q_π", "Q̃": "q", "V": "v", "Q": "q",
    "d_π": "μ", "d": "μ", "η_γ": "η", "ρ": "h", "r̄": "r(π)", "P h": "P v",
    "∇log": "∇ln", "log": "ln",
    "R_t": "R_{t+1}", "r_t": "R_{t+1}", "r_0": "R_1", "r_1": "R_2", "r_2": "R_3", "r_k": "R_{k+1}",
    "s_{t+1}": "S_{t+1}", "s_t": "S_t", "a_t": "A_t", "s_0": "S_0", "s_1": "S_1", "a_0": "A_0",
    "π_θ(a|s)": "π(a|s,θ)", "π_θ(a_t|s_t)": "π(A_t|S_t,θ)", "π(a_t|s_t)": "π(A_t|S_t,θ)",
    "π_θ": "π",
}  # fmt: skip
_CS234 = {
    "V_π": "V^π", "V_γ": "V^π", "V_∗": "V^∗", "Q_π": "Q^π", "d_π": "d^π", "d": "d^π",
    "J(θ)": "V(θ)", "∇J(θ)": "∇_θ V(θ)", "∇J": "∇_θ V(θ)", "∇log": "∇_θ log", "∇π": "∇_θ π",
    "π_θ(a|s)": "π_θ(s,a)", "π(a|s)": "π(s,a)", "π_θ(a_t|s_t)": "π_θ(s_t,a_t)",
    "π(a_t|s_t)": "π_θ(s_t,a_t)",
}  # fmt: skip
_GAE = {
    "V_π": "V^{π,γ}", "V_γ": "V^{π,γ}", "Q_π": "Q^{π,γ}", "ψ_t": "Ψ_t", "ψ": "Ψ", "δ_t": "δ_t^V",
    "ρ": "ρ_0", "∇log": "∇_θ log", "π(a_t|s_t)": "π_θ(a_t|s_t)",
}  # fmt: skip
_SPINNING = {
    "V_π": "V^π", "V_γ": "V^π", "V_∗": "V^∗", "Q_π": "Q^π", "ψ_t": "Φ_t", "ψ": "Φ", "ρ": "ρ_0",
    "J(θ)": "J(π_θ)", "∇J(θ)": "∇_θ J(π_θ)", "∇J": "∇_θ J(π_θ)", "∇log": "∇_θ log",
    "π(a_t|s_t)": "π_θ(a_t|s_t)",
}  # fmt: skip
_RULES: Mapping[str, Mapping[str, str]] = {
    "sutton": _SUTTON,
    "cs234": _CS234,
    "gae": _GAE,
    "spinning": _SPINNING,
}


def translate(notation: str, convention: str) -> str:
    """A formula of these pages as another source writes it.

    Args:
        notation: as in `mathml`.
        convention: one of `NAMES`.

    Example:
        >>> translate("V_π(s) = 𝔼[Σ_t γ^t r_t]", "sutton")
        'v_π(s) = 𝔼[Σ_t γ^t R_{t+1}]'
        >>> translate("ψ_t ∇log π_θ(a_t|s_t)", "spinning")
        'Φ_t ∇_θ log π_θ(a_t|s_t)'
    """
    rules = _RULES[convention]
    longest_first = sorted(rules, key=len, reverse=True)
    # A letter is a symbol only where no other letter touches it; words in quotes stay words.
    symbols = "|".join(
        rf"(?<![A-Za-z]){re.escape(symbol)}(?![A-Za-z\u0303])" for symbol in longest_first
    )
    return re.sub(rf'"[^"]*"|{symbols}', lambda found: rules.get(found[0], found[0]), notation)
