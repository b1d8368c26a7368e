//! Interprets just enough of Python's pickle format to find the tensors that `torch.save` wrote.
//!
//! A pickle is a program for a stack machine. In Python it can call any function. Here it can call
//! nothing: a short list of globals ([`PickleGlobal`]) has a meaning. Every other global becomes
//! [`Value::Foreign`]. A value that is made with it becomes a [`Value::Object`]: the data that the
//! file states for it, such as the fields of a dataclass, without any behaviour.
//!
//! Values live in an arena and refer to one another by index, so cycles and deep nesting need
//! neither recursion nor copies. Each instruction makes at most one value, and the number of
//! instructions is limited.

use super::dtype::Dtype;
use super::pickle_globals::{PickleGlobal, lookup};
use crate::error::{Error, Result};

/// Size limit of a pickle, in bytes. The pickle of a model of 7 million parameters has a few
/// thousand bytes.
pub(super) const MAX_PICKLE_BYTES: u64 = 8 << 20;
/// Most instructions of a pickle. They make at most about 70 MB of values.
const MAX_INSTRUCTIONS: usize = 1_000_000;
/// Most dimensions of a tensor.
const MAX_RANK: usize = 8;
/// Most foreign globals that are remembered for messages.
const MAX_FOREIGN_NAMES: usize = 16;

/// Position of a value in the arena.
pub(super) type Id = u32;

/// A tensor as the pickle describes it, not yet checked against the storage.
#[derive(Debug)]
pub(super) struct PickledTensor<'a> {
    /// Key of the storage: the last part of its entry name in the archive.
    pub(super) key: &'a str,
    pub(super) dtype: Dtype,
    /// Position of the first element in the storage, in elements.
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    /// Distance of neighbours along each dimension, in elements.
    pub(super) strides: Vec<usize>,
}

/// What the file states about an object of a foreign class. The class has no meaning here.
#[derive(Debug, Default)]
pub(super) struct PickledObject {
    /// Items, if the class is a kind of dict.
    pub(super) items: Vec<(Id, Id)>,
    /// The attributes: usually a dict.
    pub(super) state: Option<Id>,
    /// The only argument of the call that made it, such as the value of an enum.
    pub(super) argument: Option<Id>,
}

/// A value of the pickle. Values that neither a tensor nor a configuration needs carry no data.
#[derive(Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'a str),
    Bytes,
    Tuple(Box<[Id]>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Set,
    Global(PickleGlobal),
    /// A storage. `dtype` is `None` for an untyped storage.
    Storage {
        key: &'a str,
        dtype: Option<Dtype>,
    },
    Tensor(Box<PickledTensor<'a>>),
    /// An object of a foreign class.
    Object(Box<PickledObject>),
    /// A value without a meaning here.
    Foreign,
}

/// The values that a pickle makes when it runs.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    /// The result of the pickle.
    pub(super) root: Id,
    /// The first few foreign globals, as `module.name`.
    pub(super) foreign: Vec<String>,
}

impl<'a> Pickle<'a> {
    /// Runs a pickle.
    ///
    /// # Errors
    /// The pickle is malformed, or exceeds a limit. The message gives the byte.
    pub(super) fn load(data: &'a [u8]) -> Result<Self> {
        let mut machine = Machine::new(data);
        let root = machine
            .run()
            .map_err(|e| e.context(format!("pickle, byte {}", machine.at)))?;
        Ok(Pickle {
            values: machine.values,
            root,
            foreign: machine.foreign,
        })
    }

    /// Returns the value at a position of the arena.
    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        self.values.get(id as usize).unwrap_or(&Value::Foreign)
    }
}

/// The stack machine that runs a pickle.
struct Machine<'a> {
    data: &'a [u8],
    /// Position of the next byte in `data`.
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at each MARK.
    marks: Vec<usize>,
    memo: std::collections::HashMap<u32, Id>,
    foreign: Vec<String>,
    /// Instructions that are left.
    budget: usize,
}

/// Returns the error for a malformed pickle.
fn malformed(message: &str) -> Error {
    Error::checkpoint(format!(
        "{message}; the file is damaged, or torch.save did not write it"
    ))
}

impl<'a> Machine<'a> {
    fn new(data: &'a [u8]) -> Self {
        Machine {
            data,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Default::default(),
            foreign: Vec::new(),
            budget: MAX_INSTRUCTIONS,
        }
    }

    /// Runs the pickle to its STOP instruction. Returns the result.
    fn run(&mut self) -> Result<Id> {
        loop {
            self.spend(1)?;
            let [opcode] = self.bytes::<1>()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    /// Counts work against the limit, so that no pickle runs for long.
    fn spend(&mut self, instructions: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(instructions).ok_or_else(|| {
            Error::checkpoint(format!(
                "holds more than {MAX_INSTRUCTIONS} objects, far more than a checkpoint needs"
            ))
        })?;
        Ok(())
    }

    /// Runs one instruction. The opcodes are those of Python's `pickletools`.
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO, FRAME
            0x80 => self.skip(1),
            0x95 => self.skip(8),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.drop_top(),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b')' => self.push(Value::Tuple(Box::default())),
            0x8f => self.push(Value::Set),
            b'I' | b'L' | b'F' | b'J' | b'K' | b'M' | b'G' | 0x8a | 0x8b => self.number(opcode),
            b'S' | b'T' | b'U' | b'V' | b'X' | b'B' | b'C' | 0x8c | 0x8d | 0x8e | 0x96 => {
                self.text(opcode)
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.memo(opcode),
            b't' | b'l' | b'd' | 0x85 | 0x86 | 0x87 | 0x91 => self.collect(opcode),
            b'a' | b'e' | b's' | b'u' | 0x90 => self.extend(opcode),
            b'c' | 0x93 | b'i' | b'o' | b'R' | b'b' | 0x81 | 0x92 | 0x82..=0x84 => {
                self.object(opcode)
            }
            b'P' => self.line().and_then(|_| self.push(Value::Foreign)),
            b'Q' => self.persistent(),
            // NEXT_BUFFER, READONLY_BUFFER
            0x97 => self.push(Value::Bytes),
            0x98 => self.top().map(drop),
            other => Err(malformed(&format!(
                "has the unknown instruction {other:#04x}"
            ))),
        }
    }

    /// Runs an instruction that pushes a number.
    fn number(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'J' => Value::Int(i32::from_le_bytes(self.bytes()?).into()),
            b'K' => Value::Int(self.bytes::<1>()?[0].into()),
            b'M' => Value::Int(u16::from_le_bytes(self.bytes()?).into()),
            b'G' => Value::Float(f64::from_be_bytes(self.bytes()?)),
            b'F' => self.line()?.parse().map_or(Value::Foreign, Value::Float),
            b'I' | b'L' => {
                let line = self.line()?;
                line.trim_end_matches('L')
                    .parse()
                    .map_or(Value::Foreign, Value::Int)
            }
            0x8a => {
                let len = self.bytes::<1>()?[0].into();
                long(self.take(len)?)
            }
            _ => {
                let len = u32::from_le_bytes(self.bytes()?) as usize;
                long(self.take(len)?)
            }
        };
        self.push(value)
    }

    /// Runs an instruction that pushes a string or bytes.
    fn text(&mut self, opcode: u8) -> Result<()> {
        let quoted = matches!(opcode, b'S' | b'V');
        if quoted {
            let line = self.line()?;
            let text = if opcode == b'S' {
                line.trim_matches(['\'', '"'])
            } else {
                line
            };
            // The name of a tensor has no escape sequences.
            return self.push(if text.contains('\\') {
                Value::Foreign
            } else {
                Value::Str(text)
            });
        }
        let len = match opcode {
            b'U' | b'C' | 0x8c => self.bytes::<1>()?[0].into(),
            0x8d | 0x8e | 0x96 => u64::from_le_bytes(self.bytes()?),
            _ => u32::from_le_bytes(self.bytes()?).into(),
        };
        let data = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        let is_text = matches!(opcode, b'X' | 0x8c | 0x8d | b'T' | b'U');
        let value = match std::str::from_utf8(data) {
            Ok(text) if is_text => Value::Str(text),
            _ => Value::Bytes,
        };
        self.push(value)
    }

    /// Runs an instruction that stores a value in the memo or pushes one from it.
    fn memo(&mut self, opcode: u8) -> Result<()> {
        let key = match opcode {
            b'p' | b'g' => self
                .line()?
                .parse()
                .map_err(|_| malformed("has a memo key that is not a number"))?,
            b'q' | b'h' => self.bytes::<1>()?[0].into(),
            b'r' | b'j' => u32::from_le_bytes(self.bytes()?),
            #[allow(
                clippy::cast_possible_truncation,
                reason = "at most MAX_INSTRUCTIONS entries"
            )]
            _ => self.memo.len() as u32,
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            let id = *self
                .memo
                .get(&key)
                .ok_or_else(|| malformed("reads a memo entry that was never stored"))?;
            self.stack.push(id);
        } else {
            let top = self.top()?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    /// Runs an instruction that makes a tuple, list, dict or set from values on the stack.
    fn collect(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            0x85..=0x87 => self.pop_many(usize::from(opcode - 0x84))?,
            _ => self.pop_mark()?,
        };
        let value = match opcode {
            b'l' => Value::List(items),
            b'd' => Value::Dict(pairs(&items)?),
            0x91 => Value::Set,
            _ => Value::Tuple(items.into_boxed_slice()),
        };
        self.push(value)
    }

    /// Runs an instruction that adds values on the stack to the container below them.
    fn extend(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            b'a' => self.pop_many(1)?,
            b's' => self.pop_many(2)?,
            _ => self.pop_mark()?,
        };
        let container = self.top()? as usize;
        match (self.values.get_mut(container), opcode) {
            (Some(Value::List(list)), b'a' | b'e') => list.extend(items),
            (Some(Value::Dict(dict)), b's' | b'u') => dict.extend(pairs(&items)?),
            (Some(Value::Object(object)), b's' | b'u') => object.items.extend(pairs(&items)?),
            (Some(Value::Set), 0x90) | (Some(Value::Foreign | Value::Object(_)), _) => {}
            _ => return Err(malformed("adds items to a value that is not a container")),
        }
        Ok(())
    }

    /// Runs an instruction that names a global, calls it, or sets attributes.
    fn object(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let value = self.global(module, name);
                self.push(value)
            }
            0x93 => {
                let parts = self.pop_many(2)?;
                let value = match (self.str(parts.first()), self.str(parts.get(1))) {
                    (Some(module), Some(name)) => self.global(module, name),
                    _ => return Err(malformed("names a class by a value that is not a string")),
                };
                self.push(value)
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.pop_mark()?;
                self.global(module, name);
                self.push(Value::Object(Box::default()))
            }
            b'o' => self
                .pop_mark()
                .and_then(|_| self.push(Value::Object(Box::default()))),
            // EXT1, EXT2, EXT4: globals registered in the Python process that wrote the file.
            0x82..=0x84 => self
                .skip(1 << (opcode - 0x82))
                .and_then(|()| self.push(Value::Foreign)),
            // BUILD sets attributes. Those of a dict (`_metadata`) have no meaning.
            b'b' => {
                let state = self.pop()?;
                let object = self.top()? as usize;
                if let Some(Value::Object(object)) = self.values.get_mut(object) {
                    object.state = Some(state);
                }
                Ok(())
            }
            0x81 | 0x92 => {
                let parts = self.pop_many(if opcode == 0x92 { 3 } else { 2 })?;
                let value = match self.as_global(parts.first()) {
                    Some(PickleGlobal::OrderedDict) => Value::Dict(Vec::new()),
                    _ => Value::Object(Box::default()),
                };
                self.push(value)
            }
            _ => {
                let parts = self.pop_many(2)?;
                self.reduce(parts.first().copied(), parts.get(1).copied())
            }
        }
    }

    /// Returns the value of the global `module.name`. Remembers it for messages if it is foreign.
    fn global(&mut self, module: &str, name: &str) -> Value<'a> {
        if let Some(global) = lookup(module, name) {
            return Value::Global(global);
        }
        let is_new = |names: &[String]| {
            names.len() < MAX_FOREIGN_NAMES && module.len() + name.len() < 200 && {
                let full = format!("{module}.{name}");
                !names.contains(&full)
            }
        };
        if is_new(&self.foreign) {
            self.foreign.push(format!("{module}.{name}"));
        }
        Value::Foreign
    }

    /// Calls a global. The result of calling anything else is foreign.
    fn reduce(&mut self, callee: Option<Id>, args: Option<Id>) -> Result<()> {
        let global = self.as_global(callee.as_ref());
        let args: &[Id] = match args.and_then(|a| self.values.get(a as usize)) {
            Some(Value::Tuple(args)) => args,
            _ => &[],
        };
        let value = match global {
            Some(PickleGlobal::OrderedDict) => {
                let items = match args.first().and_then(|a| self.values.get(*a as usize)) {
                    Some(Value::List(items)) => items.clone(),
                    _ => Vec::new(),
                };
                self.spend(items.len())?;
                Value::Dict(items.iter().filter_map(|pair| self.pair(*pair)).collect())
            }
            Some(PickleGlobal::Tensor | PickleGlobal::TensorOfType) => self.tensor(global, args)?,
            // The result is the first argument: torch.Size(tuple), Parameter(tensor, requires_grad,
            // hooks).
            Some(PickleGlobal::Size | PickleGlobal::Parameter) => {
                let inner = *args
                    .first()
                    .ok_or_else(|| malformed("calls a function without arguments"))?;
                self.stack.push(inner);
                return Ok(());
            }
            _ => Value::Object(Box::new(PickledObject {
                argument: args.first().copied().filter(|_| args.len() == 1),
                ..PickledObject::default()
            })),
        };
        self.push(value)
    }

    /// Returns the tensor that a call of `_rebuild_tensor` makes.
    fn tensor(&self, global: Option<PickleGlobal>, args: &[Id]) -> Result<Value<'a>> {
        let get = |i: usize| args.get(i).and_then(|id| self.values.get(*id as usize));
        let Some(Value::Storage { key, dtype }) = get(0) else {
            return Err(malformed("makes a tensor of a value that is not a storage"));
        };
        let dtype_argument = match (global, get(6)) {
            (Some(PickleGlobal::TensorOfType), Some(Value::Global(PickleGlobal::Type(dtype)))) => {
                Some(*dtype)
            }
            (Some(PickleGlobal::TensorOfType), _) => Some(Dtype::Other("unknown")),
            _ => None,
        };
        let Some(dtype) = dtype_argument.or(*dtype) else {
            return Err(malformed(
                "makes a tensor of a storage without an element type",
            ));
        };
        let Some(Value::Int(offset)) = get(1) else {
            return Err(malformed("makes a tensor whose offset is not a number"));
        };
        let (shape, strides) = (self.sizes(get(2))?, self.sizes(get(3))?);
        if shape.len() != strides.len() {
            return Err(malformed(
                "makes a tensor whose number of strides is not its number of dimensions",
            ));
        }
        let offset = u64::try_from(*offset)
            .map_err(|_| malformed("makes a tensor with a negative offset"))?;
        Ok(Value::Tensor(Box::new(PickledTensor {
            key,
            dtype,
            offset,
            shape,
            strides,
        })))
    }

    /// Returns the elements of a tuple or list of sizes.
    fn sizes(&self, value: Option<&Value<'a>>) -> Result<Vec<usize>> {
        let items: &[Id] = match value {
            Some(Value::Tuple(items)) => items,
            Some(Value::List(items)) => items,
            _ => return Err(malformed("makes a tensor whose shape is not a tuple")),
        };
        if items.len() > MAX_RANK {
            return Err(malformed("makes a tensor of more than 8 dimensions"));
        }
        let size = |id: &Id| match self.values.get(*id as usize) {
            Some(Value::Int(n)) => usize::try_from(*n).ok(),
            _ => None,
        };
        items
            .iter()
            .map(|id| size(id).ok_or_else(|| malformed("makes a tensor with an invalid size")))
            .collect()
    }

    /// Runs BINPERSID. Its argument `('storage', class, key, device, elements)` is torch's
    /// reference to an entry of the archive.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let Some(Value::Tuple(parts)) = self.values.get(id as usize) else {
            return Err(malformed("has a persistent id that is not a storage"));
        };
        let is_storage = self.str(parts.first()) == Some("storage");
        let value = match (self.as_global(parts.get(1)), self.str(parts.get(2))) {
            (Some(PickleGlobal::Storage(dtype)), Some(key)) if is_storage => Value::Storage {
                key,
                dtype: Some(dtype),
            },
            (Some(PickleGlobal::UntypedStorage), Some(key)) if is_storage => {
                Value::Storage { key, dtype: None }
            }
            (_, Some(key)) if is_storage => Value::Storage {
                key,
                dtype: Some(Dtype::Other("unknown")),
            },
            _ => return Err(malformed("has a persistent id that is not a storage")),
        };
        self.push(value)
    }

    fn as_global(&self, id: Option<&Id>) -> Option<PickleGlobal> {
        match self.values.get(*id? as usize) {
            Some(Value::Global(global)) => Some(*global),
            _ => None,
        }
    }

    fn str(&self, id: Option<&Id>) -> Option<&'a str> {
        match self.values.get(*id? as usize) {
            Some(Value::Str(text)) => Some(text),
            _ => None,
        }
    }

    fn pair(&self, id: Id) -> Option<(Id, Id)> {
        match self.values.get(id as usize) {
            Some(Value::Tuple(items)) => Some((*items.first()?, *items.get(1)?)),
            Some(Value::List(items)) => Some((*items.first()?, *items.get(1)?)),
            _ => None,
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<()> {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "each of MAX_INSTRUCTIONS instructions makes at most one value"
        )]
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
        Ok(())
    }

    /// Returns the height of the stack at the last mark. Instructions reach no deeper.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        let top = self
            .stack
            .last()
            .filter(|_| self.stack.len() > self.floor());
        top.copied()
            .ok_or_else(|| malformed("takes a value from an empty stack"))
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn drop_top(&mut self) -> Result<()> {
        // POP directly after MARK removes the mark.
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        let from = self
            .stack
            .len()
            .checked_sub(count)
            .filter(|from| *from >= self.floor());
        let from = from.ok_or_else(|| malformed("takes a value from an empty stack"))?;
        Ok(self.stack.split_off(from))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| malformed("pops a mark that was never set"))?;
        // A mark is never above the stack. `min` makes sure that split_off cannot panic.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    /// Reads the next `len` bytes.
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let taken = self.data.get(self.at..).and_then(|rest| rest.get(..len));
        let taken = taken.ok_or_else(|| Error::checkpoint("is cut short"))?;
        self.at += len;
        Ok(taken)
    }

    fn skip(&mut self, len: usize) -> Result<()> {
        self.take(len).map(drop)
    }

    /// Reads the next N bytes.
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let found = self
            .data
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<N>());
        let found = *found.ok_or_else(|| Error::checkpoint("is cut short"))?;
        self.at += N;
        Ok(found)
    }

    /// Reads the rest of the line, without the line break.
    fn line(&mut self) -> Result<&'a str> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let len = rest
            .iter()
            .position(|b| *b == b'\n')
            .ok_or_else(|| Error::checkpoint("is cut short"))?;
        let line = self.take(len)?;
        self.skip(1)?;
        std::str::from_utf8(line).map_err(|_| malformed("has a line that is not UTF-8 text"))
    }
}

/// Splits `key, value, key, value, ...` into pairs.
fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed("has a dict with a key and no value"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

/// Returns a little-endian two's complement integer of any length. No tensor needs one that does
/// not fit an i64, so it is foreign.
fn long(bytes: &[u8]) -> Value<'static> {
    let Some(last) = bytes.last() else {
        return Value::Int(0);
    };
    if bytes.len() > 8 {
        return Value::Foreign;
    }
    let mut wide = [if last & 0x80 != 0 { 0xff } else { 0 }; 8];
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    Value::Int(i64::from_le_bytes(wide))
}
