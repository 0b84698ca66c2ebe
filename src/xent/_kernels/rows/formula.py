"""The formula of a row, from what its logits were reduced to: a new loss's row formula goes here.

Rows, small batches and images sum in their own ways and then call the same functions, with numbers
or with vectors of a pixel each. Of a row z of temperature T whose largest logit is z_m:

    S        sum of exp((z_c - z_m) / T) over all classes c but m
    log_sum  log1p(S)                                         = -log p_m
    lse      log sum_c exp(z_c / T) = z_m / T + log_sum
    margin   (z_m - z_y) / T, of the target y; soft_margin is sum_c a_c (z_m - z_c) / T
    p        p_m = 1 / (1 + S), 1 - p_m = S / (1 + S), p_c = exp((z_c - z_m) / T) / (1 + S)

The largest logit stays out of S, so a confident row keeps every digit of its loss and gradient.
"""

from xent._compile.decorator import inner


@inner()
def row_loss(target_weight, margin, soft_margin, target_mass, log_sum, lse, z_loss):
    """Return -w log p_y - sum_c a_c log p_c + z_loss (w + sum_c a_c) lse**2.

    A row counts as much for the z-loss as its target does for the loss.
    """
    value = soft_margin + target_mass * log_sum
    if target_weight != 0.0:
        value += target_loss(target_weight, margin, log_sum)
    if z_loss != 0.0:
        value += z_loss_term(target_weight + target_mass, lse, z_loss)
    return value


@inner()
def target_loss(target_weight, margin, log_sum):
    """Return -w log p_y."""
    return target_weight * (margin + log_sum)


@inner()
def z_loss_term(weight, lse, z_loss):
    """Return z_loss w lse**2."""
    return z_loss * weight * lse * lse


@inner()
def lse_gradient(upstream, weight, lse, z_loss):
    """Return the derivative of the loss by lse, which is what multiplies p_c."""
    if z_loss != 0.0:
        return upstream * (weight + 2.0 * z_loss * weight * lse)
    return upstream * weight


@inner()
def class_gradient(lse_grad, target_grad, p):
    """Return the derivative by z_c / T of a class other than m."""
    return p * lse_grad - target_grad


@inner()
def argmax_gradient(lse_grad, target_grad, p, rest):
    """Return the derivative by z_m / T, of p = p_m and rest = 1 - p_m: p - 1 is never formed."""
    return (lse_grad - target_grad) * p - target_grad * rest
