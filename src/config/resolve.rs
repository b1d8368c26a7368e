//! Resolves a [`Config`] from the shapes of tensors and from settings, without guessing.
//!
//! A value that the shapes determine comes from them. A setting that contradicts a shape is an
//! error that names both. Every other value must be set or have a published default. One error
//! lists all missing values.

use serde_json::{Map, Value};

use super::check::check;
use super::limits::{
    MAX_CYCLES, MAX_DIMENSION, MAX_IDENTIFIERS, MAX_LAYERS, MAX_STEPS, MAX_SYMBOLS,
};
use super::references::unresolved_reason;
use super::settings::short;
use super::{Architecture, Config, PosEncodings, Settings};
use crate::error::{Error, Hint, Result};

/// A hyper-parameter, its value, and the source of the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// Name in `all_config.yaml`.
    pub name: &'static str,
    /// Resolved value.
    pub value: Value,
    /// Source of the value: a file, an option, a tensor's shape, or the published default.
    pub from: String,
}

/// What the names and shapes of a model's tensors determine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shapes {
    pub(crate) variant: Architecture,
    /// D: hidden size.
    pub(crate) hidden_size: usize,
    /// V: vocabulary size. `None`: no shape contains it (a model with a symbol axis).
    pub(crate) vocab_size: Option<usize>,
    /// Number of blocks of `H_level`, or 0.
    pub(crate) h_layers: usize,
    /// Number of blocks of `L_level`, or 0.
    pub(crate) l_layers: usize,
    /// I: inner width of the SwiGLU over channels.
    pub(crate) inner: usize,
    /// T: inner width of the SwiGLU over positions. `None`: the model has attention.
    pub(crate) token_inner: Option<usize>,
    /// M: width of the messages within units. `None`: the model has no symbol axis.
    pub(crate) mixer_inner: Option<usize>,
    /// L: positions. `None`: no shape contains it.
    pub(crate) positions: Option<usize>,
    /// Whether the model has learned positions.
    pub(crate) learned_positions: bool,
    /// Rows and elements per row of the puzzle embedding.
    pub(crate) puzzle_emb: Option<[usize; 2]>,
    /// Whether the halting head has the output for halting only.
    pub(crate) one_halting_output: bool,
}

/// A configuration and the sources of its values.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedConfig {
    pub(crate) config: Config,
    pub(crate) provenance: Vec<Provenance>,
    /// Keys of configuration files that are not hyper-parameters. A saved model keeps them.
    pub(crate) extra: Map<String, Value>,
    /// Notes for the user.
    pub(crate) notes: Vec<String>,
}

impl Config {
    /// Resolves the configuration of a model with these tensors.
    ///
    /// # Errors
    /// A setting is invalid or contradicts a shape, a value is missing, or the values do not fit
    /// together.
    pub(crate) fn resolve(shapes: &Shapes, settings: &Settings) -> Result<ResolvedConfig> {
        settings.check_agreement()?;
        let mut resolver = Resolver::new(shapes, settings);
        let config = resolver.config()?;
        if !resolver.missing.is_empty() {
            return Err(resolver.missing_error());
        }
        check(&config)?;
        Ok(ResolvedConfig {
            config,
            provenance: resolver.provenance,
            extra: settings.extra.clone(),
            notes: resolver.notes,
        })
    }
}

/// Resolves one hyper-parameter after the other. Each method returns the value of one, and records
/// its source in `provenance` or its name in `missing`.
pub(super) struct Resolver<'a> {
    pub(super) shapes: &'a Shapes,
    pub(super) settings: &'a Settings,
    pub(super) provenance: Vec<Provenance>,
    /// Name and example value of each missing hyper-parameter.
    pub(super) missing: Vec<(&'static str, &'static str)>,
    pub(super) notes: Vec<String>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(shapes: &'a Shapes, settings: &'a Settings) -> Self {
        Resolver {
            shapes,
            settings,
            provenance: Vec::new(),
            missing: Vec::new(),
            notes: settings.notes.clone(),
        }
    }

    fn config(&mut self) -> Result<Config> {
        let shapes = self.shapes;
        let mlp_t = self.mlp_t()?;
        let (h_cycles, l_cycles) = self.cycles()?;
        let [h_layers, l_layers] = self.layers()?;
        let hidden_size = self.size_from_shape(
            "hidden_size",
            shapes.hidden_size,
            "embed_tokens.embedding_weight",
        )?;
        let vocab_size = match shapes.vocab_size {
            Some(size) => {
                self.size_from_shape("vocab_size", size, "embed_tokens.embedding_weight")?
            }
            None => self.count("vocab_size", 3, MAX_SYMBOLS + 2, None)?,
        };
        let num_heads = self.num_heads()?;
        let pos_encodings = self.pos_encodings()?;
        let puzzle_emb_ndim = self.puzzle_emb_ndim()?;
        let puzzle_ids = self.puzzle_ids()?;
        let num_puzzle_identifiers = self.num_puzzle_identifiers(puzzle_ids.as_deref())?;
        let puzzle_emb_len = self.puzzle_emb_len(puzzle_emb_ndim)?;
        let mut config = Config {
            variant: shapes.variant,
            h_cycles,
            l_cycles,
            h_layers,
            l_layers,
            hidden_size,
            num_heads,
            expansion: None,
            inner: shapes.inner,
            token_inner: shapes.token_inner.unwrap_or(0),
            mixer_inner: self.mixer_inner()?,
            mlp_t,
            pos_encodings,
            rope_theta: self.float("rope_theta", 10_000.0)?,
            #[allow(
                clippy::cast_possible_truncation,
                reason = "rounded; `float` checks the range"
            )]
            rms_norm_eps: self.float("rms_norm_eps", 1e-5)? as f32,
            puzzle_emb_ndim,
            puzzle_emb_len,
            halt_max_steps: self.count("halt_max_steps", 1, MAX_STEPS, Some(16))?,
            no_act_continue: self.no_act_continue()?,
            vocab_size,
            seq_len: None,
            num_puzzle_identifiers,
            puzzle_ids,
            task: self.task()?,
            box_shape: self.box_shape()?,
        };
        config.expansion = self.expansion(&config)?;
        config.seq_len = self.seq_len(&config)?;
        Ok(config)
    }

    /// Records the value and the source of a hyper-parameter.
    pub(super) fn note_source(
        &mut self,
        name: &'static str,
        value: impl Into<Value>,
        from: impl Into<String>,
    ) {
        self.provenance.push(Provenance {
            name,
            value: value.into(),
            from: from.into(),
        });
    }

    /// Returns a size that the shape of `tensor` determines. A setting must agree with it.
    pub(super) fn size_from_shape(
        &mut self,
        key: &'static str,
        value: usize,
        tensor: &str,
    ) -> Result<usize> {
        if let Some((setting, from)) = self.count_setting(key, 0, MAX_IDENTIFIERS)?
            && setting != value
        {
            return Err(contradiction(
                key,
                setting,
                &from,
                value,
                &format!("the shape of {tensor}"),
            ));
        }
        self.note_source(key, value, format!("shape of {tensor}"));
        Ok(value)
    }

    /// Returns the setting `key` as an integer from `min` to `max`, with its source.
    pub(super) fn count_setting(
        &self,
        key: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Option<(usize, String)>> {
        let Some((value, from)) = self.settings.get(key) else {
            return Ok(None);
        };
        #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
        let whole = value.as_u64().or_else(|| {
            value
                .as_f64()
                .filter(|f| f.fract() == 0.0 && (0.0..1e15).contains(f))
                .map(|f| f as u64)
        });
        let number = whole
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| (min..=max).contains(n));
        match number {
            Some(n) => Ok(Some((n, from.to_owned()))),
            None => Err(invalid(
                key,
                value,
                from,
                &format!("a whole number from {min} to {max}"),
            )),
        }
    }

    /// Returns an integer that no shape determines: the setting, else the default. Without either,
    /// the value counts as missing.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        min: usize,
        max: usize,
        default: Option<usize>,
    ) -> Result<usize> {
        match (self.count_setting(key, min, max)?, default) {
            (Some((value, from)), _) => {
                self.note_source(key, value, from);
                Ok(value)
            }
            (None, Some(value)) => {
                self.note_source(key, value, "published default");
                Ok(value)
            }
            (None, None) => {
                self.missing.push((key, "N"));
                Ok(min)
            }
        }
    }

    /// Returns a positive number that no shape determines: the setting, else the default.
    fn float(&mut self, key: &'static str, default: f64) -> Result<f64> {
        let Some((value, from)) = self.settings.get(key) else {
            self.note_source(key, default, "published default");
            return Ok(default);
        };
        // As an f32, a smaller number may be 0, and its powers infinite.
        let number = value.as_f64().filter(|f| (1e-30..=1e30).contains(f));
        let number =
            number.ok_or_else(|| invalid(key, value, from, "a number from 1e-30 to 1e30"))?;
        let from = from.to_owned();
        self.note_source(key, number, from);
        Ok(number)
    }

    /// Returns the setting `key` as a boolean, with its source.
    pub(super) fn bool_setting(&self, key: &'static str) -> Result<Option<(bool, String)>> {
        match self.settings.get(key) {
            None => Ok(None),
            Some((Value::Bool(b), from)) => Ok(Some((*b, from.to_owned()))),
            Some((other, from)) => Err(invalid(key, other, from, "true or false")),
        }
    }

    fn mlp_t(&mut self) -> Result<bool> {
        let mlp_t = self.shapes.token_inner.is_some();
        if let Some((setting, from)) = self.bool_setting("mlp_t")?
            && setting != mlp_t
        {
            let has = if mlp_t {
                "tensors named mlp_t"
            } else {
                "tensors named self_attn"
            };
            return Err(Error::config(format!(
                "mlp_t is {setting} ({from}), but the model has {has}"
            )));
        }
        self.note_source("mlp_t", mlp_t, "names of the tensors");
        Ok(mlp_t)
    }

    /// Returns M for a model with a symbol axis, else 0.
    fn mixer_inner(&mut self) -> Result<usize> {
        let Some(inner) = self.shapes.mixer_inner else {
            return Ok(0);
        };
        if let Some((mixer, from)) = self.settings.get("mixer")
            && mixer != "units"
        {
            return Err(invalid("mixer", mixer, from, "units"));
        }
        self.note_source("mixer", "units", "names of the tensors");
        self.size_from_shape("mlp_inner", self.shapes.inner, "mlp.down_proj")?;
        self.size_from_shape("mixer_inner", inner, "mixer.down_proj")
    }

    fn cycles(&mut self) -> Result<(usize, usize)> {
        let default = (self.shapes.variant == Architecture::Baseline).then_some(1);
        let max_low = if self.shapes.variant == Architecture::Hier6 {
            6
        } else {
            MAX_CYCLES
        };
        let h = self.count("H_cycles", 1, MAX_CYCLES, default)?;
        let l = self.count("L_cycles", 1, max_low, default)?;
        Ok((h, l))
    }

    fn layers(&mut self) -> Result<[usize; 2]> {
        let mut layers = [
            ("H_layers", self.shapes.h_layers, "H_level"),
            ("L_layers", self.shapes.l_layers, "L_level"),
        ];
        for (key, value, level) in &mut layers {
            if *value > MAX_LAYERS {
                return Err(Error::config(format!(
                    "the model has {value} layers; at most {MAX_LAYERS} are supported"
                )));
            }
            // Published files configure levels that the architecture does not have. Training
            // ignores them.
            if *value > 0 {
                self.size_from_shape(key, *value, level)?;
            }
        }
        Ok(layers.map(|l| l.1))
    }

    /// Returns whether the blocks have attention.
    fn attends(&self) -> bool {
        self.shapes.token_inner.is_none() && self.shapes.mixer_inner.is_none()
    }

    fn num_heads(&mut self) -> Result<usize> {
        let attends = self.attends();
        let heads = self.count("num_heads", 1, MAX_DIMENSION, (!attends).then_some(1))?;
        let width = self.shapes.hidden_size;
        if attends && heads > 0 && !width.is_multiple_of(heads) {
            return Err(Error::config(format!(
                "num_heads is {heads}, which does not divide the hidden_size of {width}"
            )));
        }
        Ok(heads)
    }

    fn pos_encodings(&mut self) -> Result<PosEncodings> {
        let learned = self.shapes.learned_positions;
        let setting = match self.settings.get("pos_encodings") {
            None => None,
            Some((value, from)) => {
                let all = [
                    PosEncodings::Rope,
                    PosEncodings::Learned,
                    PosEncodings::None,
                ];
                let found = all.into_iter().find(|p| value.as_str() == Some(p.name()));
                let found = found.ok_or_else(|| {
                    invalid("pos_encodings", value, from, "rope, learned or none")
                })?;
                Some((found, from.to_owned()))
            }
        };
        let (value, from) = match setting {
            Some((setting, from)) if (setting == PosEncodings::Learned) != learned => {
                let has = if learned {
                    "the model has"
                } else {
                    "the model has no"
                };
                let setting = setting.name();
                return Err(Error::config(format!(
                    "pos_encodings is {setting} ({from}), but {has} tensor embed_pos"
                )));
            }
            _ if learned => (PosEncodings::Learned, "names of the tensors".to_owned()),
            // Rotary positions act in attention only.
            _ if !self.attends() => (PosEncodings::None, "names of the tensors".to_owned()),
            Some(setting) => setting,
            None => {
                self.missing.push(("pos_encodings", "rope|none"));
                return Ok(PosEncodings::None);
            }
        };
        self.note_source("pos_encodings", value.name(), from);
        Ok(value)
    }

    fn no_act_continue(&mut self) -> Result<bool> {
        const KEY: &str = "no_ACT_continue";
        let setting = self.bool_setting(KEY)?;
        let published = matches!(
            self.shapes.variant,
            Architecture::Hrm | Architecture::Baseline
        );
        let (value, from) = match setting {
            _ if published => {
                if let Some((true, from)) = setting {
                    let name = self.shapes.variant.name();
                    self.notes.push(format!(
                        "{KEY} is true ({from}), but the published {name} has no such option; it \
                         is ignored"
                    ));
                }
                (false, "published rule of the variant".into())
            }
            Some((false, from)) if self.shapes.one_halting_output => {
                return Err(Error::config(format!(
                    "{KEY} is false ({from}), but q_head has one output, the one for halting"
                )));
            }
            _ if self.shapes.one_halting_output => (true, "q_head has one output".to_owned()),
            Some(setting) => setting,
            None if self.settings.has_training_file() => (true, "published default".to_owned()),
            None => {
                self.missing.push((KEY, "true|false"));
                return Ok(true);
            }
        };
        self.note_source(KEY, value, from);
        Ok(value)
    }

    pub(super) fn task(&mut self) -> Result<Option<String>> {
        let Some((value, from)) = self.settings.get("task") else {
            return Ok(None);
        };
        let name = value.as_str().filter(|t| t.len() <= 64);
        let name = name
            .ok_or_else(|| invalid("task", value, from, "the name of a task"))?
            .to_owned();
        let from = from.to_owned();
        self.note_source("task", name.as_str(), from);
        Ok(Some(name))
    }

    pub(super) fn box_shape(&mut self) -> Result<Option<[usize; 2]>> {
        let Some((value, from)) = self.settings.get("box") else {
            return Ok(None);
        };
        let sides: Option<Vec<usize>> = value.as_array().and_then(|list| {
            let side = |v: &Value| {
                v.as_u64()
                    .and_then(|n| usize::try_from(n).ok())
                    .filter(|n| (1..=64).contains(n))
            };
            list.iter().take(3).map(side).collect()
        });
        let Some([rows, columns]) = sides.as_deref() else {
            return Err(invalid("box", value, from, "[rows, columns]"));
        };
        let shape = [*rows, *columns];
        let (value, from) = (value.clone(), from.to_owned());
        self.note_source("box", value, from);
        Ok(Some(shape))
    }

    /// Returns the expansion factor if it is set. Shapes determine the inner widths, so the factor
    /// must give the same widths.
    fn expansion(&mut self, config: &Config) -> Result<Option<f64>> {
        // A model with a symbol axis has its inner widths in the configuration instead.
        let setting = self.settings.get("expansion");
        let Some((value, from)) = setting.filter(|_| config.symbols() == 0) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|f| *f > 0.0 && *f <= 1024.0);
        let number =
            number.ok_or_else(|| invalid("expansion", value, from, "a number from 0 to 1024"))?;
        let token = self
            .shapes
            .token_inner
            .zip(self.shapes.positions)
            .map(|(t, l)| ("mlp_t", l, t));
        for (tensor, width, inner) in [Some(("mlp", config.hidden_size, config.inner)), token]
            .into_iter()
            .flatten()
        {
            let expected = Config::inner_width(width, number);
            if expected != inner {
                return Err(Error::config(format!(
                    "expansion is {number} ({from}), which gives {tensor} an inner width of \
                     {expected}, but its tensors have {inner}"
                )));
            }
        }
        let from = from.to_owned();
        self.note_source("expansion", number, from);
        Ok(Some(number))
    }

    /// Returns the error that lists all missing hyper-parameters.
    fn missing_error(&self) -> Error {
        let names: Vec<_> = self.missing.iter().map(|m| m.0).collect();
        let examples = self.missing.iter();
        let examples = examples.map(|(key, example)| ((*key).to_string(), example.to_string()));
        Error::config(format!(
            "cannot determine {}: neither the tensors nor a configuration file gives a value",
            names.join(", "),
        ))
        .with_hint(Hint::SetHyperparameters(examples.collect()))
    }
}

/// Returns the error for a setting that contradicts the value which `what` determines.
pub(super) fn contradiction(
    key: &str,
    setting: usize,
    from: &str,
    value: usize,
    what: &str,
) -> Error {
    Error::config(format!(
        "{key} is {setting} ({from}), but {value} by {what}"
    ))
}

/// Returns the error for a setting that is not what `expected` describes.
pub(super) fn invalid(key: &str, value: &Value, from: &str, expected: &str) -> Error {
    let text = short(value);
    if let Some((_, reason)) = unresolved_reason(value) {
        return Error::config(format!(
            "{key} is {text} ({from}), a reference that is not followed: {reason}"
        ))
        .with_hint(Hint::SetHyperparameters(vec![(
            key.to_owned(),
            "VALUE".into(),
        )]));
    }
    if value.as_str() == Some("???") {
        return Error::config(format!(
            "{key} is ??? ({from}), the mark of a value that training had to be given"
        ))
        .with_hint(Hint::SetHyperparameters(vec![(
            key.to_owned(),
            "VALUE".into(),
        )]));
    }
    Error::config(format!("{key} is {text} ({from}); it must be {expected}"))
}
