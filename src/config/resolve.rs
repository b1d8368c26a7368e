//! From shapes and settings to a [`Config`], without guessing.
//!
//! What shapes tell is taken from them; a setting that says otherwise is an error that names both. What they cannot
//! tell must be given: all that is missing is listed in one error.

use serde_json::{Map, Value};

use super::check::check;
use super::limits::{MAX_CYCLES, MAX_IDENTIFIERS, MAX_LAYERS, MAX_SIZE, MAX_STEPS};
use super::{Architecture, Config, PosEncodings, Settings};
use crate::error::{Error, Hint, Result};

/// A hyper-parameter, its value, and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// Its name in `all_config.yaml`.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// A file, an option, a tensor's shape, or the published default.
    pub from: String,
}

/// What the shapes of the tensors tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shapes {
    pub(crate) variant: Architecture,
    pub(crate) hidden_size: usize,
    pub(crate) vocab_size: usize,
    pub(crate) h_layers: usize,
    pub(crate) l_layers: usize,
    pub(crate) inner: usize,
    /// T, in a model with `mlp_t`.
    pub(crate) token_inner: Option<usize>,
    /// L, where a tensor has it.
    pub(crate) positions: Option<usize>,
    /// Learned positions.
    pub(crate) learned: bool,
    /// Rows and width of the puzzle embedding.
    pub(crate) puzzle_emb: Option<[usize; 2]>,
}

/// A configuration with where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) config: Config,
    pub(crate) provenance: Vec<Provenance>,
    /// Settings without a meaning here, for `convert`.
    pub(crate) kept: Map<String, Value>,
    pub(crate) notes: Vec<String>,
}

impl Config {
    /// Resolves a configuration.
    pub(crate) fn resolve(shapes: &Shapes, settings: &Settings) -> Result<Resolved> {
        let mut r = Resolver::new(shapes, settings);
        let config = r.config()?;
        if !r.missing.is_empty() {
            return Err(r.missing_error());
        }
        check(&config)?;
        Ok(Resolved {
            config,
            provenance: r.provenance,
            kept: settings.kept.clone(),
            notes: r.notes,
        })
    }
}

pub(super) struct Resolver<'a> {
    pub(super) shapes: &'a Shapes,
    pub(super) settings: &'a Settings,
    pub(super) provenance: Vec<Provenance>,
    /// Key and an example of a value.
    missing: Vec<(&'static str, &'static str)>,
    pub(super) notes: Vec<String>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(shapes: &'a Shapes, settings: &'a Settings) -> Resolver<'a> {
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
        let hidden_size = self.shaped("hidden_size", shapes.hidden_size, "embed_tokens.embedding_weight")?;
        let vocab_size = self.shaped("vocab_size", shapes.vocab_size, "embed_tokens.embedding_weight")?;
        let num_heads = self.num_heads(mlp_t)?;
        let pos_encodings = self.pos_encodings(mlp_t)?;
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
            mlp_t,
            pos_encodings,
            rope_theta: self.float("rope_theta", 10_000.0)?,
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

    /// A size that a tensor's shape gives; a setting must agree.
    pub(super) fn shaped(&mut self, key: &'static str, value: usize, tensor: &str) -> Result<usize> {
        if let Some((given, from)) = self.given_count(key, 0, MAX_IDENTIFIERS)?
            && given != value
        {
            return Err(contradiction(
                key,
                given,
                &from,
                value,
                &format!("the shape of {tensor}"),
            ));
        }
        self.note_source(key, value, format!("shape of {tensor}"));
        Ok(value)
    }

    pub(super) fn given_count(
        &self,
        key: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Option<(usize, String)>> {
        let Some((value, from)) = self.settings.get(key) else {
            return Ok(None);
        };
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

    /// A number that no shape gives: as set, or the default, or missing.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        min: usize,
        max: usize,
        default: Option<usize>,
    ) -> Result<usize> {
        match (self.given_count(key, min, max)?, default) {
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

    fn float(&mut self, key: &'static str, default: f64) -> Result<f64> {
        let Some((value, from)) = self.settings.get(key) else {
            self.note_source(key, default, "published default");
            return Ok(default);
        };
        let number = value.as_f64().filter(|f| f.is_finite() && *f > 0.0 && *f < 1e30);
        let number = number.ok_or_else(|| invalid(key, value, from, "a positive number"))?;
        let from = from.to_owned();
        self.note_source(key, number, from);
        Ok(number)
    }

    pub(super) fn given_bool(&self, key: &'static str) -> Result<Option<(bool, String)>> {
        match self.settings.get(key) {
            None => Ok(None),
            Some((Value::Bool(b), from)) => Ok(Some((*b, from.to_owned()))),
            Some((other, from)) => Err(invalid(key, other, from, "true or false")),
        }
    }

    fn mlp_t(&mut self) -> Result<bool> {
        let mlp_t = self.shapes.token_inner.is_some();
        if let Some((given, from)) = self.given_bool("mlp_t")?
            && given != mlp_t
        {
            let has = if mlp_t {
                "tensors named mlp_t"
            } else {
                "tensors named self_attn"
            };
            return Err(Error::config(format!(
                "mlp_t is {given} ({from}), but the model has {has}"
            )));
        }
        self.note_source("mlp_t", mlp_t, "names of the tensors");
        Ok(mlp_t)
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
        for (key, value, net) in &mut layers {
            if *value > MAX_LAYERS {
                return Err(Error::config(format!(
                    "the model has {value} layers; at most {MAX_LAYERS} are run"
                )));
            }
            // A network that the variant does not have is configured all the same in published files, and ignored.
            if *value > 0 {
                self.shaped(key, *value, net)?;
            }
        }
        Ok(layers.map(|l| l.1))
    }

    fn num_heads(&mut self, mlp_t: bool) -> Result<usize> {
        let heads = self.count("num_heads", 1, MAX_SIZE, mlp_t.then_some(1))?;
        let width = self.shapes.hidden_size;
        if !mlp_t && heads > 0 && !width.is_multiple_of(heads) {
            return Err(Error::config(format!(
                "num_heads is {heads}, which does not divide the hidden_size of {width}"
            )));
        }
        Ok(heads)
    }

    fn pos_encodings(&mut self, mlp_t: bool) -> Result<PosEncodings> {
        let learned = self.shapes.learned;
        let given = match self.settings.get("pos_encodings") {
            None => None,
            Some((value, from)) => {
                let all = [PosEncodings::Rope, PosEncodings::Learned, PosEncodings::None];
                let found = all.into_iter().find(|p| value.as_str() == Some(p.name()));
                let found =
                    found.ok_or_else(|| invalid("pos_encodings", value, from, "rope, learned or none"))?;
                Some((found, from.to_owned()))
            }
        };
        let (value, from) = match given {
            Some((given, from)) if (given == PosEncodings::Learned) != learned => {
                let has = if learned {
                    "the model has"
                } else {
                    "the model has no"
                };
                let given = given.name();
                return Err(Error::config(format!(
                    "pos_encodings is {given} ({from}), but {has} tensor embed_pos"
                )));
            }
            _ if learned => (PosEncodings::Learned, "names of the tensors".to_owned()),
            // Rotary positions act in attention alone.
            _ if mlp_t => (PosEncodings::None, "names of the tensors".to_owned()),
            Some(given) => given,
            None => {
                self.missing.push(("pos_encodings", "rope|none"));
                return Ok(PosEncodings::None);
            }
        };
        self.note_source("pos_encodings", value.name(), from);
        Ok(value)
    }

    fn puzzle_emb_ndim(&mut self) -> Result<usize> {
        const TENSOR: &str = "puzzle_emb.weights";
        match self.shapes.puzzle_emb {
            Some([_, width]) => self.shaped("puzzle_emb_ndim", width, TENSOR),
            None => match self.given_count("puzzle_emb_ndim", 0, MAX_SIZE)? {
                Some((given, from)) if given > 0 => Err(Error::config(format!(
                    "puzzle_emb_ndim is {given} ({from}), but the model has no tensor {TENSOR}"
                ))),
                _ => {
                    self.note_source("puzzle_emb_ndim", 0, format!("there is no {TENSOR}"));
                    Ok(0)
                }
            },
        }
    }

    fn puzzle_ids(&mut self) -> Result<Option<Vec<u32>>> {
        let Some((value, from)) = self.settings.get("puzzle_ids") else {
            return Ok(None);
        };
        let ids: Option<Vec<u32>> = value.as_array().and_then(|list| {
            list.iter()
                .map(|id| id.as_u64().and_then(|n| u32::try_from(n).ok()))
                .collect()
        });
        let ids = ids.ok_or_else(|| invalid("puzzle_ids", &Value::Null, from, "a list of identifiers"))?;
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != ids.len() {
            return Err(Error::config(format!(
                "puzzle_ids names an identifier twice ({from})"
            )));
        }
        let (value, from) = (value.clone(), from.to_owned());
        self.note_source("puzzle_ids", value, from);
        Ok(Some(ids))
    }

    /// The published loader resets an embedding of another size silently, which scores 0 %.
    fn num_puzzle_identifiers(&mut self, ids: Option<&[u32]>) -> Result<usize> {
        const KEY: &str = "num_puzzle_identifiers";
        let Some([rows, _]) = self.shapes.puzzle_emb else {
            if ids.is_some() {
                return Err(Error::config(
                    "puzzle_ids is given, but the model has no puzzle embedding",
                ));
            }
            self.note_source(KEY, 0, "there is no puzzle_emb.weights");
            return Ok(0);
        };
        let Some(ids) = ids else {
            return self.shaped(KEY, rows, "puzzle_emb.weights");
        };
        if ids.len() != rows {
            return Err(Error::config(format!(
                "puzzle_ids names {} identifiers, but puzzle_emb.weights has {rows} rows",
                ids.len()
            )));
        }
        let last = ids.iter().max().map_or(0, |id| *id as usize);
        let count = self.count(KEY, 1, MAX_IDENTIFIERS, Some(last.saturating_add(1)))?;
        if last >= count {
            return Err(Error::config(format!(
                "puzzle_ids names {last}, but {KEY} is {count}"
            )));
        }
        Ok(count)
    }

    fn puzzle_emb_len(&mut self, ndim: usize) -> Result<usize> {
        const KEY: &str = "puzzle_emb_len";
        let width = self.shapes.hidden_size.max(1);
        let derived = ndim.div_ceil(width);
        let given = self.given_count(KEY, 0, MAX_SIZE)?;
        if ndim == 0 {
            let (value, from) = given.unwrap_or((0, "there is no puzzle_emb.weights".into()));
            self.note_source(KEY, value, from);
            return Ok(value);
        }
        match given {
            Some((0, from)) => {
                self.note_source(
                    KEY,
                    0,
                    format!("{from}; gives puzzle_emb_ndim / hidden_size = {derived}"),
                );
                Ok(0)
            }
            Some((len, from)) => {
                if len.saturating_mul(width) < ndim {
                    return Err(Error::config(format!(
                        "puzzle_emb_len is {len} ({from}): too few positions of {width} for a puzzle_emb_ndim of {ndim}"
                    )));
                }
                self.note_source(KEY, len, from);
                Ok(len)
            }
            None => self.absent_puzzle_emb_len(derived),
        }
    }

    /// The published code derives it where it is absent; without any file it may just not have been said.
    fn absent_puzzle_emb_len(&mut self, derived: usize) -> Result<usize> {
        const KEY: &str = "puzzle_emb_len";
        let always = matches!(self.shapes.variant, Architecture::Hrm | Architecture::Baseline);
        if always || self.settings.configured().is_some() {
            self.note_source(
                KEY,
                0,
                format!("published default; gives puzzle_emb_ndim / hidden_size = {derived}"),
            );
            return Ok(0);
        }
        let seq_len = self.given_count("seq_len", 1, MAX_SIZE)?;
        match (self.shapes.positions, seq_len) {
            (Some(positions), Some((seq_len, from))) if seq_len < positions => {
                let len = positions - seq_len;
                self.note_source(
                    KEY,
                    len,
                    format!("{positions} positions less a seq_len of {seq_len} ({from})"),
                );
                Ok(len)
            }
            _ => {
                self.missing.push((KEY, "N"));
                Ok(0)
            }
        }
    }

    fn no_act_continue(&mut self) -> Result<bool> {
        const KEY: &str = "no_ACT_continue";
        let given = self.given_bool(KEY)?;
        let published = matches!(self.shapes.variant, Architecture::Hrm | Architecture::Baseline);
        let (value, from) = match given {
            _ if published => {
                if let Some((true, from)) = given {
                    let name = self.shapes.variant.name();
                    self.notes.push(format!(
                        "{KEY} is true ({from}), which the published {name} does not know; it is ignored"
                    ));
                }
                (false, "published rule of the variant".into())
            }
            Some(given) => given,
            None if self.settings.training().is_some() => (true, "published default".to_owned()),
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

    /// The inner widths stand in shapes; the factor is kept where it explains them.
    fn expansion(&mut self, config: &Config) -> Result<Option<f64>> {
        let Some((value, from)) = self.settings.get("expansion") else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|f| *f > 0.0 && *f <= 1024.0);
        let number = number.ok_or_else(|| invalid("expansion", value, from, "a number from 0 to 1024"))?;
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
                    "expansion is {number} ({from}), which gives {tensor} an inner width of {expected}, but its tensors have {inner}"
                )));
            }
        }
        let from = from.to_owned();
        self.note_source("expansion", number, from);
        Ok(Some(number))
    }

    fn seq_len(&mut self, config: &Config) -> Result<Option<usize>> {
        const KEY: &str = "seq_len";
        let given = self.given_count(KEY, 1, MAX_SIZE)?;
        let Some(positions) = self.shapes.positions else {
            return Ok(given.map(|(value, from)| {
                self.note_source(KEY, value, from);
                value
            }));
        };
        if self.missing.iter().any(|m| m.0 == "puzzle_emb_len") {
            return Ok(given.map(|g| g.0));
        }
        let prefix = config.prefix_len();
        let tensor = if self.shapes.learned {
            "embed_pos.embedding_weight"
        } else {
            "mlp_t.down_proj.weight"
        };
        let value = positions.checked_sub(prefix).filter(|n| *n > 0).ok_or_else(|| {
            Error::config(format!(
                "puzzle_emb_len takes {prefix} positions, but {tensor} has {positions} in all, which leaves none for the puzzle"
            ))
        })?;
        let from = format!("shape of {tensor} ({positions}) less {prefix} of the puzzle embedding");
        match given {
            Some((given, source)) if given != value => {
                Err(contradiction(KEY, given, &source, value, &format!("the {from}")))
            }
            _ => {
                self.note_source(KEY, value, from);
                Ok(Some(value))
            }
        }
    }

    fn missing_error(&self) -> Error {
        let names: Vec<_> = self.missing.iter().map(|m| m.0).collect();
        let examples = self.missing.iter();
        let examples = examples.map(|(key, example)| ((*key).to_string(), example.to_string()));
        Error::config(format!(
            "the tensors do not tell {}, and no configuration does",
            names.join(", "),
        ))
        .with_hint(Hint::SetHyperparameters(examples.collect()))
    }
}

fn contradiction(key: &str, given: usize, from: &str, value: usize, what: &str) -> Error {
    Error::config(format!("{key} is {given} ({from}), but {value} by {what}"))
}

fn invalid(key: &str, value: &Value, from: &str, wanted: &str) -> Error {
    let mut text = value.to_string();
    if text.len() > 40 {
        text = text.chars().take(40).chain("...".chars()).collect();
    }
    Error::config(format!("{key} is {text} ({from}); it must be {wanted}"))
}
