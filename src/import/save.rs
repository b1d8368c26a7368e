//! A model written anew: `model.safetensors` and `config.json`, the same bytes every time.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use half::f16;
use serde_json::{Map, Value, json};

use super::Model;
use crate::checkpoint::names::{PUZZLE_EMB, SCALE};
use crate::checkpoint::{Dtype, PuzzleRows, int8};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::dtype::{Int8Rows, WeightDtype, bf16_bits, int8_rows, takes_format};
use crate::model::weights::Weight;

const TENSORS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 20;

/// What to write.
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    /// How the matrices of the blocks are written. All other tensors stay f32, but for a puzzle embedding, which takes 16 bits with them: it
    /// can be most of a file. In int8 a tensor `NAME.scale` of f32, one a row, stands beside each matrix `NAME`.
    pub dtype: WeightDtype,
    /// The puzzle identifiers whose rows are kept, in this order; all where none are named.
    pub puzzle_ids: Option<Vec<u32>>,
    /// Name of the task that the model was trained for; that of the model where none is named.
    pub task: Option<String>,
    /// Rows and columns of a Sudoku's box; those of the model where none are named.
    pub box_shape: Option<[usize; 2]>,
}

impl Model {
    /// Writes `model.safetensors` and `config.json` into `dir`, which is made if it is not there. The same model gives
    /// the same bytes. Both files are complete before they take their names.
    ///
    /// # Errors
    /// The model is an ONNX graph; a file cannot be written; `dir` is where the model itself lies; an identifier is unknown or named twice; an
    /// element is too large for f16.
    pub fn save(&self, dir: impl AsRef<Path>, options: &SaveOptions) -> Result<()> {
        self.stored()?;
        let dir = dir.as_ref();
        let io = |e| Error::io(dir.display(), e);
        fs::create_dir_all(dir).map_err(io)?;
        self.check_elsewhere(dir)?;
        let rows = self.rows(options)?;
        let config = self.saved_config(options)?;
        let tensors = self.saved_tensors(rows.as_ref(), options.dtype);
        let mut text = serde_json::to_string_pretty(&config).map_err(|e| io(e.into()))?;
        text.push('\n');
        if text.len() as u64 > crate::config::MAX_FILE {
            return Err(Error::argument(
                "so many puzzle identifiers do not fit a configuration; keep all or fewer",
            ));
        }
        let mut writer = Writer::create(&dir.join(TENSORS))?;
        writer.put(&header(&tensors, &config)?)?;
        for tensor in &tensors {
            self.write(tensor, &mut writer)
                .map_err(|e| e.context(format!("tensor \"{}\"", tensor.name)))?;
        }
        let mut config = Writer::create(&dir.join(CONFIG))?;
        config.put(text.as_bytes())?;
        writer.finish()?;
        config.finish()
    }

    fn write(&self, tensor: &Saved<'_>, writer: &mut Writer) -> Result<()> {
        let stored = self.stored()?;
        let rounded = |weight| {
            let matrix = int8::read(&stored.checkpoint, &stored.names, weight)?;
            let width = matrix.shape.last().copied().unwrap_or(1);
            Ok::<Int8Rows, Error>(int8_rows(&matrix.data, width))
        };
        match (&tensor.data, tensor.dtype) {
            (Data::Rows(rows), dtype) => rows.write(writer, dtype),
            (Data::Scales(weight), _) => writer.floats(&rounded(*weight)?.scales, Dtype::F32),
            (Data::Weight(weight), Dtype::I8) => {
                let bytes: Vec<u8> = rounded(*weight)?.values.iter().map(|v| *v as u8).collect();
                writer.put(&bytes)
            }
            (Data::Weight(weight), dtype) => {
                let data = int8::read(&stored.checkpoint, &stored.names, *weight)?.data;
                writer.floats(&data, dtype)
            }
        }
    }

    /// Saving over the file that is being read would lose it.
    fn check_elsewhere(&self, dir: &Path) -> Result<()> {
        let same = self
            .directory()
            .is_some_and(|own| match (own.canonicalize(), dir.canonicalize()) {
                (Ok(own), Ok(dir)) => own == dir,
                _ => false,
            });
        if same {
            return Err(
                Error::argument("is where the model itself lies; write to another directory")
                    .context(dir.display()),
            );
        }
        Ok(())
    }

    fn rows<'a>(&'a self, options: &'a SaveOptions) -> Result<Option<Rows<'a>>> {
        match (&self.puzzle_rows, &options.puzzle_ids) {
            (None, Some(_)) => Err(Error::argument(
                "the model has no puzzle embedding to choose rows from",
            )),
            (None, None) => Ok(None),
            (Some(rows), None) => Ok(Some(Rows { rows, chosen: None })),
            (Some(rows), Some(ids)) => {
                let mut sorted = ids.clone();
                sorted.sort_unstable();
                if ids.is_empty() || sorted.windows(2).any(|w| w.first() == w.last()) {
                    return Err(Error::argument("puzzle identifiers must be named, each once"));
                }
                let chosen: Result<Vec<usize>> = ids.iter().map(|id| rows.index(*id)).collect();
                Ok(Some(Rows {
                    rows,
                    chosen: Some(chosen?),
                }))
            }
        }
    }

    fn saved_tensors<'a>(&'a self, rows: Option<&'a Rows<'a>>, format: WeightDtype) -> Vec<Saved<'a>> {
        let (of_matrices, of_rows) = match format {
            WeightDtype::F32 => (Dtype::F32, Dtype::F32),
            WeightDtype::F16 => (Dtype::F16, Dtype::F16),
            WeightDtype::Bf16 => (Dtype::BF16, Dtype::BF16),
            WeightDtype::Int8 => (Dtype::I8, Dtype::F32),
        };
        let weights = self.config.weights().into_iter().flat_map(|weight| {
            let takes = takes_format(weight);
            let (name, shape) = (weight.name(), weight.shape(&self.config));
            let scales = (takes && of_matrices == Dtype::I8).then(|| Saved {
                name: format!("{name}{SCALE}"),
                shape: shape.iter().take(1).copied().collect(),
                dtype: Dtype::F32,
                data: Data::Scales(weight),
            });
            let dtype = if takes { of_matrices } else { Dtype::F32 };
            let data = Data::Weight(weight);
            [
                Some(Saved {
                    name,
                    shape,
                    dtype,
                    data,
                }),
                scales,
            ]
        });
        let weights = weights.flatten();
        let rows = rows.map(|rows| {
            let shape = vec![rows.len(), rows.rows.width()];
            Saved {
                name: PUZZLE_EMB.to_owned(),
                shape,
                dtype: of_rows,
                data: Data::Rows(rows),
            }
        });
        let mut all: Vec<_> = weights.chain(rows).collect();
        // The widest elements first, so that all lie at multiples of their size.
        all.sort_by(|a, b| {
            let wide = b.dtype.size().cmp(&a.dtype.size());
            wide.then_with(|| a.name.cmp(&b.name))
        });
        all
    }

    fn saved_config(&self, options: &SaveOptions) -> Result<Map<String, Value>> {
        let mut config: Config = self.config.clone();
        config.task = options.task.clone().or(config.task);
        config.box_shape = options.box_shape.or(config.box_shape);
        if let Some(ids) = &options.puzzle_ids {
            config.puzzle_ids = Some(ids.clone());
        }
        let mut map = Map::new();
        map.insert("format_version".into(), json!(1));
        map.append(&mut config.to_json());
        let own = ["format_version", "dtype", "source"];
        let kept = &self.stored()?.kept;
        for (key, value) in kept.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
            map.insert(key.clone(), value.clone());
        }
        map.insert("dtype".into(), json!(options.dtype.name()));
        // A model converted before keeps the name of what training wrote.
        let source = match kept.get("source") {
            Some(source @ Value::Object(_)) => source.clone(),
            _ => self.source()?,
        };
        map.insert("source".into(), source);
        Ok(map)
    }

    fn source(&self) -> Result<Value> {
        let file = self
            .path
            .as_deref()
            .and_then(Path::file_name)
            .map(|name| name.to_string_lossy().into_owned());
        Ok(json!({ "file": file, "sha256": self.stored()?.checkpoint.sha256()? }))
    }
}

struct Saved<'a> {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    data: Data<'a>,
}

enum Data<'a> {
    Weight(Weight),
    /// The scales of a matrix in int8.
    Scales(Weight),
    Rows(&'a Rows<'a>),
}

/// The rows of the puzzle embedding that are kept.
struct Rows<'a> {
    rows: &'a PuzzleRows,
    chosen: Option<Vec<usize>>,
}

impl Rows<'_> {
    fn len(&self) -> usize {
        self.chosen.as_ref().map_or(self.rows.len(), Vec::len)
    }

    /// Copies the rows, a few at a time.
    fn write(&self, writer: &mut Writer, dtype: Dtype) -> Result<()> {
        if let Some(chosen) = &self.chosen {
            return chosen
                .iter()
                .try_for_each(|row| writer.floats(&self.rows.read(*row, 1)?, dtype));
        }
        let step = (CHUNK / (4 * self.rows.width().max(1))).max(1);
        let mut first = 0;
        while first < self.len() {
            let count = step.min(self.len() - first);
            writer.floats(&self.rows.read(first, count)?, dtype)?;
            first += count;
        }
        Ok(())
    }
}

/// The header of a safetensors file, written here because the crate orders its metadata by chance.
fn header(tensors: &[Saved<'_>], config: &Map<String, Value>) -> Result<Vec<u8>> {
    let json = |e: serde_json::Error| Error::argument(e.to_string()).with_source(e);
    let mut map = Map::new();
    let config = serde_json::to_string(config).map_err(json)?;
    map.insert("__metadata__".into(), json!({ "config": config, "format": "pt" }));
    let mut start = 0usize;
    for tensor in tensors {
        let end = start + tensor.shape.iter().product::<usize>() * tensor.dtype.size();
        map.insert(
            tensor.name.clone(),
            json!({ "dtype": tensor.dtype.name(), "shape": tensor.shape, "data_offsets": [start, end] }),
        );
        start = end;
    }
    let mut text = serde_json::to_vec(&map).map_err(json)?;
    // Spaces, so that the tensors begin at a multiple of 8.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    Ok(bytes)
}

/// A file that takes its name when it is complete.
struct Writer {
    path: std::path::PathBuf,
    temporary: std::path::PathBuf,
    file: Option<BufWriter<File>>,
}

impl Writer {
    fn create(path: &Path) -> Result<Writer> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = std::path::PathBuf::from(name);
        let file = File::create(&temporary).map_err(|e| Error::io(temporary.display(), e))?;
        Ok(Writer {
            path: path.to_owned(),
            temporary,
            file: Some(BufWriter::with_capacity(CHUNK, file)),
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.as_mut().map_or(Ok(()), |f| f.write_all(bytes));
        written.map_err(|e| Error::io(self.temporary.display(), e))
    }

    /// Elements as F16, BF16 or F32.
    fn floats(&mut self, data: &[f32], dtype: Dtype) -> Result<()> {
        for part in data.chunks(CHUNK / 4) {
            let bytes: Vec<u8> = match dtype {
                Dtype::BF16 => part.iter().flat_map(|x| bf16_bits(*x).to_le_bytes()).collect(),
                Dtype::F16 => {
                    if let Some(large) = part.iter().find(|x| f16::from_f32(**x).is_infinite()) {
                        return Err(Error::argument(format!(
                            "holds {large}, which is too large for f16; use f32"
                        )));
                    }
                    part.iter()
                        .flat_map(|x| f16::from_f32(*x).to_le_bytes())
                        .collect()
                }
                _ => part.iter().flat_map(|x| x.to_le_bytes()).collect(),
            };
            self.put(&bytes)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let file = self.file.take();
        let flushed = file.map_or(Ok(()), |f| {
            f.into_inner()
                .map_err(|e| e.into_error())
                .and_then(|f| f.sync_all())
        });
        let renamed = flushed.and_then(|()| fs::rename(&self.temporary, &self.path));
        renamed.map_err(|e| Error::io(self.path.display(), e))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        self.file = None;
        let _ = fs::remove_file(&self.temporary);
    }
}
