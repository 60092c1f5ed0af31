"""The claimed means of the group rules, with every group of G = 4 enumerated.

Sequences over {0, 1, EOS} of at most 3 tokens (15 of them), a softmax table over the 7 prefixes,
R = 1 iff the sequence contains 0 and ends in EOS. The literals are those of the specification.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import psi
from logtrick.psi.registry import ESTIMATORS, Claim

EOS, LONGEST, G = 2, 3, 4


def all_sequences(prefix=()):
    if len(prefix) == LONGEST or (prefix and prefix[-1] == EOS):
        return [prefix]
    return [s for token in range(3) for s in all_sequences((*prefix, token))]


SEQUENCES = all_sequences()
PREFIXES = sorted({s[:t] for s in SEQUENCES for t in range(len(s))})
LENGTHS = np.array([len(s) for s in SEQUENCES], float)
BINARY = np.array([float(0 in s and s[-1] == EOS) for s in SEQUENCES])
GRADED = np.random.default_rng(0).normal(size=len(SEQUENCES))
GROUPS = np.array(list(itertools.product(range(len(SEQUENCES)), repeat=G)))
ROWS = np.array([[PREFIXES.index(s[:t]) if t < len(s) else 0 for t in range(3)] for s in SEQUENCES])
TOKENS = np.array([[s[t] if t < len(s) else 0 for t in range(3)] for s in SEQUENCES])
VALID = np.arange(3) < LENGTHS[:, None]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def token_log_probs(theta):
    """[15, 3] log π of every token, 0 where there is none."""
    table = jax.nn.log_softmax(theta.reshape(len(PREFIXES), 3), axis=-1)
    return jnp.where(VALID, table[ROWS, TOKENS], 0.0)


def sequence_log_probs(theta):
    return jnp.sum(token_log_probs(theta), axis=-1)


def objective(theta, returns):
    return jnp.exp(sequence_log_probs(theta)) @ returns


def expected_update(theta, weights):
    """E[Σ_i w_i ψ_i Σ_t ∇log π] with w_i ψ_i = weights[group, i], groups drawn from π_θ."""
    log_p = sequence_log_probs(theta)
    probability = jnp.exp(jnp.sum(log_p[GROUPS], axis=-1))
    per_sequence = jnp.zeros(len(SEQUENCES)).at[GROUPS].add(probability[:, None] * weights)
    return per_sequence @ jax.jacfwd(sequence_log_probs)(theta)


def curl(update, theta):
    m = jax.jacfwd(update)(theta)
    return jnp.linalg.norm(m - m.T) / jnp.linalg.norm(m + m.T)


def curl_by_differences(update, theta, h=1e-5):
    """The same for an update that freezes π_old, which a derivative would not see through."""
    update = jax.jit(update)
    steps = h * jnp.eye(len(theta))
    m = jnp.stack([(update(theta + d) - update(theta - d)) / (2 * h) for d in steps], axis=-1)
    return jnp.linalg.norm(m - m.T) / jnp.linalg.norm(m + m.T)


def direction(update, gradient):
    """(best scalar, cosine) of an update against the gradient."""
    product = update @ gradient
    return (
        product / (gradient @ gradient),
        product / (jnp.linalg.norm(update) * jnp.linalg.norm(gradient)),
    )


def thetas():
    rng = np.random.default_rng(7)
    return [jnp.zeros(21), *jnp.asarray(rng.normal(size=(2, 21)))]


def gradient(theta, returns):
    return jax.grad(objective)(theta, returns)


def test_the_sequences():
    assert len(SEQUENCES) == 15
    assert len(PREFIXES) == 7
    np.testing.assert_allclose(objective(jnp.zeros(21), BINARY), 2 / 9, rtol=1e-14)


@pytest.mark.parametrize("returns", [BINARY, GRADED], ids=["binary", "graded"])
def test_rloo_is_unbiased_and_the_group_mean_is_three_quarters(returns):
    for theta in thetas():
        exact = gradient(theta, returns)
        for rule, scale in ((psi.rloo, 1.0), (psi.dr_grpo, 0.75)):
            update = expected_update(theta, rule(returns[GROUPS]) / G)
            np.testing.assert_allclose(update, scale * exact, rtol=1e-11, atol=1e-14)


def test_remax_is_unbiased_whatever_the_greedy_return():
    for theta in thetas():
        weights = psi.remax(BINARY[GROUPS], np.full(GROUPS.shape, 0.37)) / G
        np.testing.assert_allclose(
            expected_update(theta, weights), gradient(theta, BINARY), rtol=1e-11, atol=1e-14
        )


def test_the_std_of_a_binary_reward_only_scales():
    weights = psi.grpo(BINARY[GROUPS], ddof=1, epsilon=1e-4) / G
    scale, cosine = direction(
        expected_update(jnp.zeros(21), weights), gradient(jnp.zeros(21), BINARY)
    )
    assert round(float(scale), 4) == 1.4303
    for theta in thetas():
        _, cosine = direction(expected_update(theta, weights), gradient(theta, BINARY))
        np.testing.assert_allclose(cosine, 1.0, rtol=1e-13)
        assert curl(lambda x: expected_update(x, weights), theta) < 1e-12


def test_the_std_of_a_graded_reward_is_no_gradient():
    weights = psi.grpo(GRADED[GROUPS], ddof=1, epsilon=1e-4) / G
    assert curl(lambda x: expected_update(x, weights), jnp.zeros(21)) > 1e-3


def test_leave_one_out_with_one_over_length():
    weights = psi.rloo(BINARY[GROUPS]) * psi.sequence_mean_weights(LENGTHS[GROUPS])
    theta = jnp.zeros(21)
    update = expected_update(theta, weights)
    scale, cosine = direction(update, gradient(theta, BINARY))
    assert round(float(scale), 6) == 0.566092
    assert round(float(cosine), 6) == 0.952621
    assert round(float(curl(lambda x: expected_update(x, weights), theta)), 4) == 0.2112
    for theta in thetas():
        frozen = objective(theta, BINARY)
        exact = gradient(theta, BINARY / LENGTHS) - frozen * gradient(theta, 1 / LENGTHS)
        np.testing.assert_allclose(expected_update(theta, weights), exact, rtol=1e-11, atol=1e-14)


def test_opo_is_biased_less_in_larger_groups():
    theta = thetas()[1]
    exact = gradient(theta, BINARY)

    def bias(size):
        groups = np.array(list(itertools.product(range(15), repeat=size)))
        log_p = sequence_log_probs(theta)
        weights = psi.opo(BINARY[groups], LENGTHS[groups]) / size
        probability = jnp.exp(jnp.sum(log_p[groups], axis=-1))[:, None] * weights
        per_sequence = jnp.zeros(15).at[groups].add(probability)
        return jnp.linalg.norm(per_sequence @ jax.jacfwd(sequence_log_probs)(theta) - exact)

    two, four = bias(2), bias(4)
    assert four > 1e-3
    np.testing.assert_allclose(two / four, 2.0, rtol=0.15)


def registered_update(row, theta, returns):
    """The expected update of a registered group rule, through its own surrogate, on-policy."""
    lengths = LENGTHS[GROUPS]
    values = {
        "rloo": lambda r: psi.rloo(r),
        "remax": lambda r: psi.remax(r, np.full(r.shape, 0.37)),
        "opo": lambda r: psi.opo(r, lengths),
        "dr_grpo": lambda r: psi.dr_grpo(r),
        "grpo": lambda r: psi.grpo(r),
    }[row.psi](returns[GROUPS])
    weight = {
        "sequence_sum": lambda n: psi.sequence_sum_weights(n),
        "sequence_mean": lambda n: psi.sequence_mean_weights(n),
        "token_mean": lambda n: psi.token_mean_weights(n),
        "constant_length": lambda n: psi.constant_length_weights(n, max_length=LONGEST),
    }[row.normaliser](lengths)
    rule = {
        "score": lambda x, old, psi_: psi_ * x,
        "ppo_clip": psi.ppo_clip,
        "cispo": lambda x, old, psi_: psi.cispo(x, old, psi_, epsilon_high=0.2),
    }.get(row.ratio)

    def surrogate(x, old, group_weights):
        """The mean of the summed surrogate, groups frozen at π_old."""
        probability = jnp.exp(jnp.sum(jnp.sum(old, -1)[GROUPS], axis=-1))
        new, before = token_log_probs(x), old
        if row.ratio == "gspo":
            # ψ enters linearly, so the ψ of each sequence can be averaged before the rule
            per_sequence = jnp.zeros(15).at[GROUPS].add(probability[:, None] * group_weights)
            return jnp.sum(psi.gspo(new, before, per_sequence, jnp.asarray(VALID)))
        per_sequence = jnp.zeros(15).at[GROUPS].add(probability[:, None] * group_weights)
        terms = rule(new, before, jnp.broadcast_to(per_sequence[:, None], new.shape))
        return jnp.sum(jnp.where(VALID, terms, 0))

    return jax.grad(surrogate)(theta, token_log_probs(theta), jnp.asarray(values * weight))


GROUP_ROWS = [r for r in ESTIMATORS if r.psi in {"rloo", "remax", "opo", "dr_grpo", "grpo"}]


@pytest.mark.parametrize("row", GROUP_ROWS, ids=lambda row: row.name)
def test_registered_claims(row):
    theta = thetas()[1]
    exact = gradient(theta, GRADED)
    update = registered_update(row, theta, GRADED)
    _, cosine = direction(update, exact)
    if row.claim is Claim.UNBIASED:
        np.testing.assert_allclose(update, exact, rtol=1e-11, atol=1e-13)
    elif row.claim is Claim.GROUP_PER_LENGTH:
        np.testing.assert_allclose(update, 3 / 4 / LONGEST * exact, rtol=1e-11, atol=1e-13)
    elif row.claim is Claim.LARGE_BATCH:
        assert 1e-4 < 1 - cosine < 0.1
    else:
        assert row.claim is Claim.NO_FUNCTION
        assert curl_by_differences(lambda x: registered_update(row, x, GRADED), theta) > 1e-3


def test_on_policy_gspo_is_grpo_with_one_over_length():
    rows = {row.name: row for row in ESTIMATORS}
    for theta in thetas():
        np.testing.assert_allclose(
            registered_update(rows["gspo"], theta, BINARY),
            registered_update(rows["grpo"], theta, BINARY),
            rtol=1e-11,
            atol=1e-14,
        )
        # ... and CISPO is DAPO
        np.testing.assert_allclose(
            registered_update(rows["cispo"], theta, BINARY),
            registered_update(rows["dapo"], theta, BINARY),
            rtol=1e-11,
            atol=1e-14,
        )


def test_dynamic_sampling_reweights_prompts_by_the_chance_to_differ():
    """Keeping informative groups multiplies the mean by 1/P(not unanimous)."""
    theta = thetas()[1]
    log_p = sequence_log_probs(theta)
    probability = np.exp(np.sum(np.asarray(log_p)[GROUPS], axis=-1))
    kept = psi.informative(BINARY[GROUPS])
    j = float(objective(theta, BINARY))
    np.testing.assert_allclose(probability @ kept, 1 - j**G - (1 - j) ** G, rtol=1e-12)
    weights = psi.rloo(BINARY[GROUPS]) / G
    np.testing.assert_array_equal(weights * kept[:, None], weights)


def test_whitening_a_large_batch_is_parallel_and_a_small_one_is_not():
    """REINFORCE++ on-policy: ψ = R at each token, whitened over the group's tokens, 1/ΣL."""
    theta = thetas()[1]
    exact = gradient(theta, GRADED)
    cosines = []
    for size in (2, 4):
        groups = np.array(list(itertools.product(range(15), repeat=size)))
        per_token = np.repeat(GRADED[groups][..., None], 3, axis=-1).reshape(len(groups), -1)
        valid = VALID[groups].reshape(len(groups), -1)
        white = psi.whiten(per_token, valid).reshape(*groups.shape, 3)[..., 0]
        weights = white * psi.token_mean_weights(LENGTHS[groups])
        probability = jnp.exp(jnp.sum(sequence_log_probs(theta)[groups], axis=-1))
        per_sequence = jnp.zeros(15).at[groups].add(probability[:, None] * weights)
        update = per_sequence @ jax.jacfwd(sequence_log_probs)(theta)
        cosines.append(float(direction(update, exact)[1]))
    assert cosines[0] < cosines[1] < 1 - 1e-4
