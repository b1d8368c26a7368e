//! Small checkpoints made by hand, each wrong in one way.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trm_runtime::{LoadOptions, Model};

/// The tensors of a TRM with attention: D 4, V 6, one block of inner width 4.
pub(crate) const ATTENTION: &[(&str, &[usize])] = &[
    ("H_init", &[4]),
    ("L_init", &[4]),
    ("embed_tokens.embedding_weight", &[6, 4]),
    ("lm_head.weight", &[6, 4]),
    ("q_head.weight", &[2, 4]),
    ("q_head.bias", &[2]),
    ("L_level.layers.0.self_attn.qkv_proj.weight", &[12, 4]),
    ("L_level.layers.0.self_attn.o_proj.weight", &[4, 4]),
    ("L_level.layers.0.mlp.gate_up_proj.weight", &[8, 4]),
    ("L_level.layers.0.mlp.down_proj.weight", &[4, 4]),
];

/// The hyper-parameters that do not follow from the shapes of [`ATTENTION`].
pub(crate) const GIVEN: &[(&str, &str)] = &[
    ("H_cycles", "3"),
    ("L_cycles", "4"),
    ("num_heads", "2"),
    ("pos_encodings", "rope"),
    ("no_ACT_continue", "true"),
];

pub(crate) type Tensors = Vec<(String, Vec<usize>)>;

pub(crate) fn attention() -> Tensors {
    ATTENTION
        .iter()
        .map(|(name, shape)| ((*name).to_owned(), shape.to_vec()))
        .collect()
}

/// Returns the same tensors with a SwiGLU across 9 positions instead of attention.
pub(crate) fn mlp_t() -> Tensors {
    let mut all = attention();
    all.retain(|t| !t.0.contains("self_attn"));
    all.push((
        "L_level.layers.0.mlp_t.gate_up_proj.weight".into(),
        vec![8, 9],
    ));
    all.push(("L_level.layers.0.mlp_t.down_proj.weight".into(), vec![9, 4]));
    all
}

/// Adds a puzzle embedding.
pub(crate) fn with_puzzle(mut tensors: Tensors, rows: usize, width: usize) -> Tensors {
    tensors.push(("puzzle_emb.weights".into(), vec![rows, width]));
    tensors
}

/// Returns element `i` of a tensor, exact in every float type, as in tests/data/checkpoint/make.py.
pub(crate) fn element(name: &str, i: usize) -> f32 {
    let start: usize = name.bytes().map(usize::from).sum();
    ((start + 7 * i) % 17) as f32 / 8.0 - 1.0
}

/// Returns a safetensors file of f32 tensors.
pub(crate) fn safetensors(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, shape) in tensors {
        let start = data.len();
        for i in 0..shape.iter().product() {
            data.extend(element(name, i).to_le_bytes());
        }
        let info = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), info);
    }
    frame(&serde_json::to_vec(&header).unwrap(), &data)
}

/// Returns the length of the header, the header and the data.
pub(crate) fn frame(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// A directory with files in it.
pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            folder.write(name, bytes);
        }
        folder
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn open(&self) -> Result<Model, String> {
        open(self.path(), &[])
    }
}

pub(crate) fn open(path: impl AsRef<Path>, set: &[(&str, &str)]) -> Result<Model, String> {
    Model::open(path, &options(set)).map_err(|e| e.to_string())
}

/// `LoadedModel` a model from memory.
pub(crate) fn load(bytes: Vec<u8>, set: &[(&str, &str)]) -> Result<Model, String> {
    Model::from_bytes(bytes, &options(set)).map_err(|e| e.to_string())
}

pub(crate) fn options(set: &[(&str, &str)]) -> LoadOptions {
    let set = set
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    LoadOptions {
        set,
        ..LoadOptions::default()
    }
}

/// Returns a file of tests/data/checkpoint.
pub(crate) fn data(name: &str) -> PathBuf {
    crate::data::data("checkpoint").join(name)
}

/// Expects an error that contains every one of `words`.
#[track_caller]
pub(crate) fn fails<T>(result: Result<T, String>, words: &[&str]) {
    match result {
        Ok(_) => panic!("no error, but one with {words:?} was expected"),
        Err(message) => {
            for word in words {
                assert!(message.contains(word), "{word:?} is not in: {message}");
            }
        }
    }
}

/// A zip archive of stored entries.
#[derive(Default)]
pub(crate) struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

impl Zip {
    pub(crate) fn add(self, name: &str, data: &[u8]) -> Self {
        let size = data.len() as u32;
        self.entry(name, data, 0, 0, size, size)
    }

    /// Adds an entry whose headers may be wrong.
    pub(crate) fn entry(
        mut self,
        name: &str,
        data: &[u8],
        flags: u16,
        method: u16,
        packed: u32,
        size: u32,
    ) -> Self {
        let header = self.bytes.len() as u32;
        self.bytes.extend(b"PK\x03\x04\x00\x00");
        self.bytes.extend([0; 20]);
        self.bytes.extend((name.len() as u16).to_le_bytes());
        self.bytes.extend([0; 2]);
        self.bytes.extend(name.bytes());
        self.bytes.extend(data);
        self.directory_entry(name, flags, method, packed, size, header)
    }

    /// Adds an entry that only the central directory has.
    pub(crate) fn directory_entry(
        mut self,
        name: &str,
        flags: u16,
        method: u16,
        packed: u32,
        size: u32,
        header: u32,
    ) -> Self {
        let d = &mut self.directory;
        d.extend(b"PK\x01\x02\x00\x00\x00\x00");
        d.extend(flags.to_le_bytes());
        d.extend(method.to_le_bytes());
        d.extend([0; 8]);
        d.extend(packed.to_le_bytes());
        d.extend(size.to_le_bytes());
        d.extend((name.len() as u16).to_le_bytes());
        d.extend([0; 12]);
        d.extend(header.to_le_bytes());
        d.extend(name.bytes());
        self.entries = self.entries.wrapping_add(1);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let entries = self.entries;
        self.finish_claiming(entries)
    }

    pub(crate) fn finish_claiming(self, entries: u16) -> Vec<u8> {
        let mut bytes = self.bytes;
        let start = bytes.len() as u32;
        bytes.extend(&self.directory);
        bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
        bytes.extend([entries.to_le_bytes(), entries.to_le_bytes()].concat());
        bytes.extend((self.directory.len() as u32).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }
}

/// `InstructionSet` of a pickle.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [
        b"X".as_slice(),
        &(text.len() as u32).to_le_bytes(),
        text.as_bytes(),
    ]
    .concat()
}

pub(crate) fn int(n: i64) -> Vec<u8> {
    [b"\x8a\x08".as_slice(), &n.to_le_bytes()].concat()
}

pub(crate) fn tuple(items: &[i64]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|n| int(*n)).collect();
    [b"(".as_slice(), &items, b"t"].concat()
}

/// A tensor of f32 in storage `key` of `elements`.
pub(crate) fn tensor(
    key: &str,
    elements: i64,
    offset: i64,
    shape: &[i64],
    strides: &[i64],
) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text(key),
        text("cpu"),
        int(elements),
        b"tQ".to_vec(),
        int(offset),
        tuple(shape),
        tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

/// A pickle of a dict.
pub(crate) fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [b"\x80\x02}(".as_slice(), &items, b"u."].concat()
}

/// A file of torch.save around a pickle and storages of `elements` f32.
pub(crate) fn torch_file(pickle: &[u8], storages: &[(&str, usize)]) -> Vec<u8> {
    let mut zip = Zip::default()
        .add("a/data.pkl", pickle)
        .add("a/byteorder", b"little");
    for (key, elements) in storages {
        let bytes: Vec<u8> = (0..*elements)
            .flat_map(|i| (i as f32).to_le_bytes())
            .collect();
        zip = zip.add(&format!("a/data/{key}"), &bytes);
    }
    zip.finish()
}
