//! Says what tensors probably are that no published architecture has.

use crate::error::{Error, Hint};

/// What an unknown tensor probably is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UnknownKind {
    Adapter,
    Quantisation,
    Reparametrised,
    Mask,
    Averaged,
    QueryKeyNorm,
    Norm,
    Convolution,
    Bias,
    Other,
}

impl UnknownKind {
    /// Returns the kind of a tensor with this name.
    pub(super) fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let parts: Vec<&str> = name.split('.').collect();
        let last = parts.last().copied().unwrap_or_default();
        let any = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let ends = |words: &[&str]| words.contains(&last);
        // The words of a name: `weight_scale` has `weight` and `scale`.
        let mut words = name.split(['.', '_']);
        let mut any_word = |searched: &[&str]| words.any(|word| searched.contains(&word));
        if any(&["lora", "adapter", "hada_", "lokr", "ia3", "dora", "vera_"]) {
            Self::Adapter
        } else if any(&[
            "weight_scale",
            "input_scale",
            "scale_inv",
            "zero_point",
            "qweight",
            "qzeros",
            "absmax",
            "quant",
            "packed_params",
            "g_idx",
        ]) || ends(&["scale", "scales", "scb", "zeros", "codebook"])
        {
            Self::Quantisation
        } else if any(&["parametrizations", "weight_orig", "weight_u"])
            || ends(&[
                "weight_g",
                "weight_v",
                "original0",
                "original1",
                "magnitude",
            ])
        {
            Self::Reparametrised
        } else if last.ends_with("mask") {
            Self::Mask
        } else if parts.iter().copied().any(is_averaged) {
            Self::Averaged
        } else if any(&["q_norm", "k_norm", "qk_norm", "q_layernorm", "k_layernorm"]) {
            Self::QueryKeyNorm
        } else if any(&["norm", "ln_", ".ln", "running_mean", "running_var"]) {
            Self::Norm
        } else if any(&["conv"]) {
            Self::Convolution
        } else if any_word(&["bias"]) {
            Self::Bias
        } else {
            Self::Other
        }
    }

    /// Returns what it is, and what to do about it.
    fn description(self) -> &'static str {
        match self {
            Self::Adapter => {
                "adapters (LoRA): merge the adapters into the weights first, and save the merged \
                 weights alone"
            }
            Self::Quantisation => {
                "scales of quantised weights: save the weights in full precision instead"
            }
            Self::Reparametrised => {
                "parts of a reparametrised weight: remove the parametrisation before saving, so \
                 that the weight itself is stored"
            }
            Self::Mask => "masks of pruned weights: apply the masks to the weights before saving",
            Self::Averaged => "copies of the weights, averaged by training (EMA)",
            Self::QueryKeyNorm => "a norm of queries and keys (q_norm, k_norm)",
            Self::Norm => "a norm with learned weights",
            Self::Convolution => "a convolution",
            Self::Bias => "a bias of a projection",
            Self::Other => "parts of a changed architecture",
        }
    }
}

/// Returns the error for tensors inside the network that the architecture does not have.
pub(crate) fn unknown_error(names: &[String]) -> Error {
    let mut kinds: Vec<UnknownKind> = names.iter().map(|name| UnknownKind::of(name)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let descriptions: Vec<&str> = kinds.iter().map(|kind| kind.description()).collect();
    let (tensors, look) = match names.len() {
        1 => ("1 tensor".to_owned(), "It looks"),
        count => (format!("{count} tensors"), "They look"),
    };
    Error::checkpoint(format!(
        "holds {tensors} inside the network that the published architectures do not have: {}. \
         {look} like {}. Left out, the answers would be those of another network",
        list_names(names),
        descriptions.join("; and like "),
    ))
    .with_hint(Hint::IgnoreUnknownTensors)
}

/// Returns whether a part of a name says that the weights are averaged: `ema`, `model_ema`,
/// `shadow`, `swa_model`.
pub(super) fn is_averaged(part: impl AsRef<str>) -> bool {
    const WORDS: &[&str] = &["ema", "shadow", "averaged", "swa", "polyak"];
    part.as_ref().split('_').any(|word| WORDS.contains(&word))
}

/// Returns the first names as a list, and the number of the others.
pub(crate) fn list_names(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    list(&names)
}

/// Returns the first names as a list, and the number of the others.
pub(super) fn list(names: &[&str]) -> String {
    const MAX_SHOWN_NAMES: usize = 5;
    let mut text = names
        .iter()
        .take(MAX_SHOWN_NAMES)
        .map(|n| format!("\"{n}\""))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MAX_SHOWN_NAMES {
        text += &format!(" and {} more", names.len() - MAX_SHOWN_NAMES);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_from_names() {
        let block = "L_level.layers.0";
        for (name, kind) in [
            ("mlp.down_proj.lora_A.weight", UnknownKind::Adapter),
            ("mlp.down_proj.lora_B.default.weight", UnknownKind::Adapter),
            ("adapter.down.weight", UnknownKind::Adapter),
            ("mlp.down_proj.bias", UnknownKind::Bias),
            ("self_attn.q_bias", UnknownKind::Bias),
            ("norm1.weight", UnknownKind::Norm),
            ("norm1.bias", UnknownKind::Norm),
            ("self_attn.q_norm.weight", UnknownKind::QueryKeyNorm),
            ("mlp.dwconv.weight", UnknownKind::Convolution),
            ("mlp.down_proj.weight_scale", UnknownKind::Quantisation),
            ("mlp.down_proj.SCB", UnknownKind::Quantisation),
            ("mlp.down_proj.weight_g", UnknownKind::Reparametrised),
            ("mlp.down_proj.mask", UnknownKind::Mask),
            ("gate.weight", UnknownKind::Other),
        ] {
            assert_eq!(UnknownKind::of(&format!("{block}.{name}")), kind, "{name}");
        }
        assert_eq!(UnknownKind::of("final_norm.weight"), UnknownKind::Norm);
        assert_eq!(
            UnknownKind::of("model_ema.L_levellayers0mlpdown_projweight"),
            UnknownKind::Averaged
        );
    }
}
