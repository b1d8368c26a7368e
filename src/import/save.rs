//! Saves a model as `model.safetensors` and `config.json`. The same model gives the same bytes.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::f16;
use serde_json::{Map, Value, json};

use super::Model;
use super::folder::ModelFolder;
use crate::checkpoint::locate::{CONFIG_FILE, MODEL_FILE};
use crate::checkpoint::names::{PUZZLE_EMB, SCALE_SUFFIX};
use crate::checkpoint::{Dtype, PuzzleRows, int8};
use crate::config::{Config, MAX_CONFIG_BYTES};
use crate::error::{Error, ErrorKind, Result};
use crate::model::dtype::{Int8Rows, WeightDtype, bf16_bits, int8_rows, takes_dtype};
use crate::model::weights::Weight;
use crate::output::{Destination, Draft, check_distinct, check_folder};

/// Size of a write to the file, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Options of [`Model::save`].
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    /// Dtype of the block matrices. In f16 and bf16 the puzzle embedding gets the same dtype,
    /// because it can be most of a file. All other tensors stay f32. In int8 each matrix `NAME`
    /// gets a tensor `NAME.scale` with one f32 per row. Default: f32.
    pub dtype: WeightDtype,
    /// The puzzle identifiers whose rows are kept, in this order. Default: all.
    pub puzzle_ids: Option<Vec<u32>>,
    /// Name of the task that the model was trained for. Default: that of the model.
    pub task: Option<String>,
    /// Rows and columns of a Sudoku box. Default: those of the model.
    pub box_shape: Option<[usize; 2]>,
}

impl Model {
    /// Writes `model.safetensors` and `config.json` into the directory `dir`, and creates it if it
    /// does not exist. The same model gives the same bytes.
    ///
    /// Both files are written under temporary names and renamed when they are complete. Until then
    /// `dir` holds the model that it held before. A save that is killed, or several at the same
    /// time, never leave the tensors of one model with the configuration of another.
    ///
    /// # Errors
    /// - The model is an ONNX graph.
    /// - A file cannot be written, or the model was read from it.
    /// - `dir` is the directory of the model itself.
    /// - A puzzle identifier is unknown, or occurs twice.
    /// - An element is too large for f16.
    pub fn save(&self, dir: impl AsRef<Path>, options: &SaveOptions) -> Result<()> {
        self.tensor_file()?;
        let dir = dir.as_ref();
        let rows = self.row_selection(options)?;
        let config = self.output_config(options)?;
        let mut text = serde_json::to_string_pretty(&config)
            .map_err(|e| Error::argument(e.to_string()).with_source(e))?;
        text.push('\n');
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(Error::argument(
                "too many puzzle identifiers for a configuration file; keep all rows, or fewer",
            ));
        }
        check_folder(dir)?;
        let is_new = !dir.exists();
        fs::create_dir_all(dir).map_err(|e| Error::io(dir.display(), e))?;
        let saved = self
            .output_folder(dir)
            .and_then(|folder| self.write(&folder, &config, &text, rows.as_ref(), options.dtype));
        if saved.is_err() && is_new {
            // Fails if another program has put something into it.
            let _ = fs::remove_dir(dir);
        }
        saved
    }

    /// Returns the files of `dir` after a check that both can be replaced.
    fn output_folder(&self, dir: &Path) -> Result<ModelFolder> {
        self.check_elsewhere(dir)?;
        let resolve = |name: &str| {
            let path = dir.join(name);
            check_distinct(&path, self.files())?;
            match Destination::of(&path)? {
                Destination::File(path) => Ok(path),
                _ => Err(Error::argument("is not a regular file").context(path.display())),
            }
        };
        let folder = ModelFolder {
            model: resolve(MODEL_FILE)?,
            config: resolve(CONFIG_FILE)?,
        };
        check_distinct(&folder.model, [&folder.config])?;
        Ok(folder)
    }

    fn write(
        &self,
        folder: &ModelFolder,
        config: &Map<String, Value>,
        text: &str,
        rows: Option<&RowSelection<'_>>,
        dtype: WeightDtype,
    ) -> Result<()> {
        let in_file = |e: Error| e.context(folder.model.display());
        let tensors = self.output_tensors(rows, dtype);
        let mut config_draft = Draft::create(&folder.config)?;
        let written = config_draft.file().write_all(text.as_bytes());
        written.map_err(|e| Error::io(folder.config.display(), e))?;
        let mut model_draft = Draft::create(&folder.model)?;
        let mut writer = TensorWriter(BufWriter::with_capacity(CHUNK_BYTES, model_draft.file()));
        writer.write(&header(&tensors, config)?).map_err(in_file)?;
        for tensor in &tensors {
            self.write_tensor(tensor, &mut writer)
                .map_err(|e| e.context(format!("tensor \"{}\"", tensor.name)))?;
        }
        writer.finish().map_err(in_file)?;
        folder.replace(model_draft, config_draft)
    }

    fn write_tensor(&self, tensor: &OutputTensor<'_>, writer: &mut TensorWriter<'_>) -> Result<()> {
        let file = self.tensor_file()?;
        let quantised = |weight| {
            let matrix = int8::read(&file.checkpoint, &file.names, weight)?;
            let width = matrix.shape.last().copied().unwrap_or(1);
            Ok::<Int8Rows, Error>(int8_rows(&matrix.data, width))
        };
        match (&tensor.data, tensor.dtype) {
            (TensorData::Rows(rows), dtype) => rows.write(writer, dtype),
            (TensorData::Scales(weight), _) => {
                writer.write_floats(&quantised(*weight)?.scales, Dtype::F32)
            }
            (TensorData::Weight(weight), Dtype::I8) => {
                let bytes: Vec<u8> = quantised(*weight)?
                    .values
                    .iter()
                    .map(|v| *v as u8)
                    .collect();
                writer.write(&bytes)
            }
            (TensorData::Weight(weight), dtype) => {
                let data = int8::read(&file.checkpoint, &file.names, *weight)?.data;
                writer.write_floats(&data, dtype)
            }
        }
    }

    /// Checks that `dir` is not the directory of the model, whose file saving would overwrite while
    /// it is read.
    fn check_elsewhere(&self, dir: &Path) -> Result<()> {
        let same =
            self.directory()
                .is_some_and(|own| match (own.canonicalize(), dir.canonicalize()) {
                    (Ok(own), Ok(dir)) => own == dir,
                    _ => false,
                });
        if same {
            return Err(Error::argument(
                "is the directory of the model itself; write to another directory",
            )
            .context(dir.display()));
        }
        Ok(())
    }

    /// Returns the rows of the puzzle embedding to write. `None`: the model has no puzzle
    /// embedding.
    fn row_selection<'a>(&'a self, options: &'a SaveOptions) -> Result<Option<RowSelection<'a>>> {
        match (&self.puzzle_rows, &options.puzzle_ids) {
            (None, Some(_)) => Err(Error::argument(
                "the model has no puzzle embedding to choose rows from",
            )),
            (None, None) => Ok(None),
            (Some(rows), None) => Ok(Some(RowSelection { rows, chosen: None })),
            (Some(rows), Some(ids)) => {
                let mut sorted = ids.clone();
                sorted.sort_unstable();
                if ids.is_empty() || sorted.windows(2).any(|w| w.first() == w.last()) {
                    return Err(Error::argument(
                        "the list of puzzle identifiers is empty or contains one twice",
                    ));
                }
                let chosen: Result<Vec<usize>> = ids.iter().map(|id| rows.index(*id)).collect();
                Ok(Some(RowSelection {
                    rows,
                    chosen: Some(chosen?),
                }))
            }
        }
    }

    /// Returns the tensors to write, in the order of the file.
    fn output_tensors<'a>(
        &'a self,
        rows: Option<&'a RowSelection<'a>>,
        dtype: WeightDtype,
    ) -> Vec<OutputTensor<'a>> {
        let (matrix_dtype, row_dtype) = match dtype {
            WeightDtype::F32 => (Dtype::F32, Dtype::F32),
            WeightDtype::F16 => (Dtype::F16, Dtype::F16),
            WeightDtype::Bf16 => (Dtype::BF16, Dtype::BF16),
            WeightDtype::Int8 => (Dtype::I8, Dtype::F32),
        };
        let weights = self.config.weights().into_iter().flat_map(|weight| {
            let is_matrix = takes_dtype(weight);
            let (name, shape) = (weight.name(), weight.shape(&self.config));
            let scales = (is_matrix && matrix_dtype == Dtype::I8).then(|| OutputTensor {
                name: format!("{name}{SCALE_SUFFIX}"),
                shape: shape.iter().take(1).copied().collect(),
                dtype: Dtype::F32,
                data: TensorData::Scales(weight),
            });
            let dtype = if is_matrix { matrix_dtype } else { Dtype::F32 };
            let data = TensorData::Weight(weight);
            [
                Some(OutputTensor {
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
            OutputTensor {
                name: PUZZLE_EMB.to_owned(),
                shape,
                dtype: row_dtype,
                data: TensorData::Rows(rows),
            }
        });
        let mut all: Vec<_> = weights.chain(rows).collect();
        // The widest elements come first, so that every tensor is aligned to its element size.
        all.sort_by(|a, b| {
            let by_size = b.dtype.size().cmp(&a.dtype.size());
            by_size.then_with(|| a.name.cmp(&b.name))
        });
        all
    }

    /// Returns the content of `config.json`.
    fn output_config(&self, options: &SaveOptions) -> Result<Map<String, Value>> {
        let mut config: Config = self.config.clone();
        config.task = options.task.clone().or(config.task);
        config.box_shape = options.box_shape.or(config.box_shape);
        if let Some(ids) = &options.puzzle_ids {
            config.puzzle_ids = Some(ids.clone());
        }
        let mut map = Map::new();
        map.insert("format_version".into(), json!(1));
        map.append(&mut config.to_json());
        let written_here = ["format_version", "dtype", "source"];
        let extra = &self.tensor_file()?.extra;
        for (key, value) in extra
            .iter()
            .filter(|(key, _)| !written_here.contains(&key.as_str()))
        {
            map.insert(key.clone(), value.clone());
        }
        map.insert("dtype".into(), json!(options.dtype.name()));
        // A model that was saved before keeps the name and hash of the file that training wrote.
        let source = match extra.get("source") {
            Some(source @ Value::Object(_)) => source.clone(),
            _ => self.source()?,
        };
        map.insert("source".into(), source);
        Ok(map)
    }

    /// Returns the name and the SHA-256 of the model's file.
    fn source(&self) -> Result<Value> {
        let file = self
            .path
            .as_deref()
            .and_then(Path::file_name)
            .map(|name| name.to_string_lossy().into_owned());
        Ok(json!({ "file": file, "sha256": self.tensor_file()?.checkpoint.sha256()? }))
    }
}

/// A tensor to write.
struct OutputTensor<'a> {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    data: TensorData<'a>,
}

/// The source of a tensor's elements.
enum TensorData<'a> {
    Weight(Weight),
    /// The row scales of an int8 matrix.
    Scales(Weight),
    Rows(&'a RowSelection<'a>),
}

/// The rows of the puzzle embedding to write.
struct RowSelection<'a> {
    rows: &'a PuzzleRows,
    /// Numbers of the rows in the file. `None`: all rows.
    chosen: Option<Vec<usize>>,
}

impl RowSelection<'_> {
    fn len(&self) -> usize {
        self.chosen.as_ref().map_or(self.rows.len(), Vec::len)
    }

    /// Copies the rows, at most [`CHUNK_BYTES`] at a time.
    fn write(&self, writer: &mut TensorWriter<'_>, dtype: Dtype) -> Result<()> {
        if let Some(chosen) = &self.chosen {
            return chosen
                .iter()
                .try_for_each(|row| writer.write_floats(&self.rows.read(*row, 1)?, dtype));
        }
        let rows_per_chunk = (CHUNK_BYTES / (4 * self.rows.width().max(1))).max(1);
        let mut first = 0;
        while first < self.len() {
            let count = rows_per_chunk.min(self.len() - first);
            writer.write_floats(&self.rows.read(first, count)?, dtype)?;
            first += count;
        }
        Ok(())
    }
}

/// Returns the header of a safetensors file. The safetensors crate would write the metadata in a
/// random order.
fn header(tensors: &[OutputTensor<'_>], config: &Map<String, Value>) -> Result<Vec<u8>> {
    let json = |e: serde_json::Error| Error::argument(e.to_string()).with_source(e);
    let mut map = Map::new();
    let config = serde_json::to_string(config).map_err(json)?;
    map.insert(
        "__metadata__".into(),
        json!({ "config": config, "format": "pt" }),
    );
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
    // Spaces pad the header so that the tensors begin at a multiple of 8 bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    Ok(bytes)
}

/// Writes elements to the draft of a file.
struct TensorWriter<'a>(BufWriter<&'a mut fs::File>);

impl TensorWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).map_err(not_written)
    }

    /// Writes elements as F16, BF16 or F32.
    fn write_floats(&mut self, data: &[f32], dtype: Dtype) -> Result<()> {
        for part in data.chunks(CHUNK_BYTES / 4) {
            let bytes: Vec<u8> = match dtype {
                Dtype::BF16 => part
                    .iter()
                    .flat_map(|x| bf16_bits(*x).to_le_bytes())
                    .collect(),
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
            self.write(&bytes)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.0.flush().map_err(not_written)
    }
}

fn not_written(e: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, e.to_string()).with_source(e)
}
