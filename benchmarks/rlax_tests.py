"""Run rlax's own shipped tests with logtrick's functions bound to rlax's names.

    pip install rlax==0.1.9 && python benchmarks/rlax_tests.py

rlax takes a discount a step, logtrick one γ and flags. A discount a step is a change of scale: with
D_t the product of the discounts before t, the estimates of D_t r_t and D_t V(s_t) at γ = 1 are D_t
times those wanted; a discount of 0 is a termination. So nothing but the public functions is used.
The exit status is 1 if a bound test fails, or a difference that is listed is no longer there.
"""

import sys
import unittest
from typing import NamedTuple

import jax
import jax.numpy as jnp
from rlax._src import (
    multistep,
    multistep_test,
    policy_gradients,
    policy_gradients_test,
    vtrace,
    vtrace_test,
)

from logtrick import psi


class Scaled(NamedTuple):
    """The rows at γ = 1, and the scale that undoes it."""

    rewards: jax.Array
    next_values: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    scale: jax.Array

    @classmethod
    def of(cls, r_t, discount_t, v_t):
        """Rlax's rows, scaled so that γ = 1."""
        terminated = discount_t == 0
        after = jnp.cumprod(jnp.where(terminated, 1.0, discount_t))
        scale = jnp.concatenate([jnp.ones_like(after[:1]), after[:-1]])
        return cls(scale * r_t, after * v_t, terminated, jnp.zeros_like(terminated), scale)

    def shifted(self, lambda_t):
        """λ_t multiplies what follows row t, where Retrace's c belongs to the row after t."""
        lambda_t = jnp.broadcast_to(lambda_t, self.scale.shape)
        return jnp.concatenate([jnp.ones_like(lambda_t[:1]), lambda_t[:-1]])


def lambda_returns(r_t, discount_t, v_t, lambda_=1.0):
    r_t, discount_t, v_t = map(jnp.asarray, (r_t, discount_t, v_t))
    rows = Scaled.of(r_t, discount_t, v_t)
    if jnp.ndim(lambda_) == 0:
        return psi.lambda_return(*rows[:4], gamma=1.0, lambda_=lambda_) / rows.scale
    values = jnp.concatenate([jnp.zeros_like(v_t[:1]), rows.next_values[:-1]])
    ratios = rows.shifted(lambda_)
    returned = psi.retrace(
        rows.rewards, values, rows.next_values, ratios, *rows[2:4], gamma=1.0, c_bar=jnp.inf
    )
    return returned / rows.scale


def n_step_bootstrapped_returns(r_t, discount_t, v_t, n, lambda_t=1.0):
    if not (isinstance(lambda_t, float) and lambda_t == 1.0):
        assert n >= r_t.shape[-1]  # rlax's one use of it: then it is the λ-return
        return lambda_returns(r_t, discount_t, v_t, lambda_t)
    rows = Scaled.of(r_t, discount_t, v_t)
    zero = jnp.zeros_like(rows.rewards)
    return psi.n_step(rows.rewards, zero, *rows[1:4], gamma=1.0, n=n) / rows.scale


def discounted_returns(r_t, discount_t, v_t):
    rows = Scaled.of(r_t, discount_t, jnp.broadcast_to(v_t, r_t.shape))
    to_go = psi.reward_to_go(
        rows.rewards, rows.terminated, rows.truncated, next_values=rows.next_values, gamma=1.0
    )
    return to_go / rows.scale


def importance_corrected_td_errors(r_t, discount_t, rho_tm1, lambda_, values):
    rows = Scaled.of(r_t, discount_t, values[1:])
    now = rows.scale * values[:-1]
    ratios = rows.shifted(lambda_) * rho_tm1
    target = psi.retrace(
        rows.rewards, now, rows.next_values, ratios, *rows[2:4], gamma=1.0, c_bar=jnp.inf
    )
    return rho_tm1 * (target - now) / rows.scale


def truncated_generalized_advantage_estimation(r_t, discount_t, lambda_, values):
    if jnp.ndim(lambda_):
        ones = jnp.ones_like(r_t)
        return importance_corrected_td_errors(r_t, discount_t, ones, lambda_, values)
    rows = Scaled.of(r_t, discount_t, values[1:])
    now = rows.scale * values[:-1]
    return psi.gae(rows.rewards, now, *rows[1:4], gamma=1.0, lambda_=lambda_) / rows.scale


def _vtrace_rows(v_tm1, v_t, r_t, discount_t, rho_tm1, lambda_):
    """λ a step is 0 or 1 in rlax's tests: 0 is a truncation."""
    rows = Scaled.of(r_t, discount_t, v_t)
    if jnp.ndim(lambda_):
        rows, lambda_ = rows._replace(truncated=lambda_ == 0), 1.0
    arrays = (rows.rewards, rows.scale * v_tm1, rows.next_values, rho_tm1, *rows[2:4])
    return arrays, rows.scale, lambda_


def vtrace_errors(v_tm1, v_t, r_t, discount_t, rho_tm1, lambda_=1.0, clip_rho_threshold=1.0):
    arrays, scale, lambda_ = _vtrace_rows(v_tm1, v_t, r_t, discount_t, rho_tm1, lambda_)
    targets = psi.vtrace_targets(*arrays, gamma=1.0, lambda_=lambda_, rho_bar=clip_rho_threshold)
    return (targets - arrays[1]) / scale


def vtrace_td_error_and_advantage(
    v_tm1,
    v_t,
    r_t,
    discount_t,
    rho_tm1,
    lambda_=1.0,
    clip_rho_threshold=1.0,
    clip_pg_rho_threshold=1.0,
):
    errors = vtrace_errors(v_tm1, v_t, r_t, discount_t, rho_tm1, lambda_, clip_rho_threshold)
    arrays, scale, lambda_ = _vtrace_rows(v_tm1, v_t, r_t, discount_t, rho_tm1, lambda_)
    advantage = psi.vtrace(
        *arrays,
        gamma=1.0,
        lambda_=lambda_,
        rho_bar=clip_rho_threshold,
        advantage_rho_bar=clip_pg_rho_threshold,
    )
    advantage = advantage / scale
    q_estimate = v_tm1 + advantage / jnp.minimum(clip_pg_rho_threshold, rho_tm1)
    return vtrace.VTraceOutput(errors, advantage, q_estimate)


def policy_gradient_loss(logits_t, a_t, adv_t, w_t):
    table = jax.nn.log_softmax(logits_t)
    log_probs = jnp.take_along_axis(table, a_t[:, None], axis=-1)[:, 0]
    return -jnp.mean(w_t * psi.cispo(log_probs, log_probs, adv_t, epsilon_high=0.0))


def qpg_loss(logits_t, q_t):
    probabilities = jax.nn.softmax(logits_t)
    return -jnp.mean(psi.all_action_sum(probabilities, psi.advantage(q_t, probabilities)))


def clipped_surrogate_pg_loss(prob_ratios_t, adv_t, epsilon):
    log_ratios = jnp.log(prob_ratios_t)
    options = {"epsilon_low": epsilon, "epsilon_high": epsilon}
    return -jnp.mean(psi.ppo_clip(log_ratios, jnp.zeros_like(log_ratios), adv_t, **options))


BOUND = {
    multistep: (
        lambda_returns,
        n_step_bootstrapped_returns,
        discounted_returns,
        importance_corrected_td_errors,
        truncated_generalized_advantage_estimation,
    ),
    vtrace: (vtrace_errors, vtrace_td_error_and_advantage),
    policy_gradients: (policy_gradient_loss, qpg_loss, clipped_surrogate_pg_loss),
}
# What logtrick has no counterpart for: deterministic policy gradients, the entropy loss, regret
# matching and regret policy gradients. policy_targets is distillation throughout, and is not run.
NOT_BOUND = ("DpgLossTest", "EntropyLossTest", "RMLossTest", "RPGLossTest")


def name_in_rlax(function):
    return "vtrace" if function is vtrace_errors else function.__name__


def run(tests, only=None):
    suite = unittest.TestSuite()
    for found in unittest.defaultTestLoader.loadTestsFromModule(tests):
        for test in found:
            name = test.id().split(".")[-2:]
            if name[0] not in NOT_BOUND and (only is None or name[1].startswith(only)):
                suite.addTest(test)
    result = unittest.TestResult()
    suite.run(result)
    for test, trace in (*result.failures, *result.errors):
        print(f"FAILED {test.id()}\n{trace.splitlines()[-1]}")
    return result


def broken_vtrace(v_tm1, v_t, r_t, discount_t, rho_tm1, lambda_=1.0, clip_rho_threshold=1.0):
    return vtrace_errors(v_tm1, v_t, 3 * r_t, jnp.ones_like(discount_t), rho_tm1, 1.0)


def truncation_in_the_middle():
    """(rlax, logtrick): ψ_0, row 0 truncated with V(s'_0) = 0 before an episode of V = 99."""
    rows = {
        "v_tm1": jnp.array([0.0, 99.0]),
        "v_t": jnp.zeros(2),
        "r_t": jnp.zeros(2),
        "discount_t": jnp.ones(2),
        "rho_tm1": jnp.ones(2),
        "lambda_": jnp.array([0.0, 1.0]),
    }
    theirs = vtrace.vtrace_td_error_and_advantage(**rows).pg_advantage[0]
    return float(theirs), float(vtrace_td_error_and_advantage(**rows).pg_advantage[0])


def main() -> int:
    theirs, ours = truncation_in_the_middle()
    failed = 0
    for module, tests in (
        (multistep, multistep_test),
        (vtrace, vtrace_test),
        (policy_gradients, policy_gradients_test),
    ):
        for function in BOUND[module]:
            setattr(module, name_in_rlax(function), function)
        result = run(tests)
        wrong = len(result.failures) + len(result.errors)
        failed += wrong
        passed = result.testsRun - wrong - len(result.skipped)
        print(f"{tests.__name__:40} {passed} passed, {wrong} failed, {len(result.skipped)} skipped")
    print(f"V-trace, truncated mid-batch: rlax {theirs:g}, logtrick {ours:g} (the truth is 0)")
    vtrace.vtrace = broken_vtrace
    blind = run(vtrace_test, "test_vtrace_lambda_multiple_episodes")
    print(
        f"V-trace without discounts, rewards ×3: {len(blind.failures)} of {blind.testsRun} notice"
    )
    policy_gradients.qpg_loss = lambda *args: -17 * qpg_loss(*args)
    blind = run(policy_gradients_test, "test_qpg_loss")
    print(f"QPG loss times −17: {len(blind.failures)} of {blind.testsRun} notice")
    return int(failed > 0 or (theirs, ours) != (99.0, 0.0))


if __name__ == "__main__":
    sys.exit(main())
