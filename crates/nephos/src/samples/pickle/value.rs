//! The objects of a pickle.

use super::payload::Payload;

/// Most characters of a global's, data type's or encoding's name.
pub(crate) const LONGEST_NAME: usize = 256;
/// Most arguments of a call, and items of a state, that a host reads.
const MOST_ARGUMENTS: usize = 16;

/// One object. Containers are numbers into the [`Heap`], so that values are
/// copied freely, sharing costs nothing and dropping never recurses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(Payload),
    Bytes(Payload),
    Tuple {
        start: u32,
        len: u32,
    },
    List(u32),
    Dict(u32),
    /// An allowed global; the number is the host's.
    Global(u8),
    /// An object of the host; the number is the host's.
    Object(u32),
}

impl Value {
    /// What it is, for messages.
    pub fn kind(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Float => "a float",
            Self::Text(_) => "a str",
            Self::Bytes(_) => "bytes",
            Self::Tuple { .. } => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
            Self::Global(_) => "a class or function",
            Self::Object(_) => "an object",
        }
    }
}

/// Storage of tuples, lists and dicts, and the file that payloads point into.
pub(crate) struct Heap<'a> {
    pub file: &'a [u8],
    tuples: Vec<Value>,
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

impl<'a> Heap<'a> {
    pub fn new(file: &'a [u8]) -> Self {
        Self {
            file,
            tuples: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
        }
    }

    /// Numbers fit in 32 bits: the machine makes at most
    /// [`super::machine::MOST_OPERATIONS`] of anything.
    pub fn new_tuple(&mut self, items: &[Value]) -> Value {
        let start = self.tuples.len() as u32;
        self.tuples.extend_from_slice(items);
        Value::Tuple {
            start,
            len: items.len() as u32,
        }
    }

    pub fn new_list(&mut self, items: Vec<Value>) -> Value {
        self.lists.push(items);
        Value::List(self.lists.len() as u32 - 1)
    }

    pub fn new_dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() as u32 - 1)
    }

    /// Items of a tuple or list.
    pub fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple { start, len } => self.tuples.get(start as usize..(start + len) as usize),
            Value::List(id) => self.lists.get(id as usize).map(Vec::as_slice),
            _ => None,
        }
    }

    /// Items of a dict in the order they were set.
    pub fn entries(&self, value: Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(id) => self.dicts.get(id as usize).map(Vec::as_slice),
            _ => None,
        }
    }

    pub fn list_mut(&mut self, value: Value) -> Option<&mut Vec<Value>> {
        match value {
            Value::List(id) => self.lists.get_mut(id as usize),
            _ => None,
        }
    }

    pub fn dict_mut(&mut self, value: Value) -> Option<&mut Vec<(Value, Value)>> {
        match value {
            Value::Dict(id) => self.dicts.get_mut(id as usize),
            _ => None,
        }
    }

    /// Items of a tuple of a call or state.
    pub fn arguments(&self, value: Value) -> Result<&[Value], String> {
        match value {
            Value::Tuple { .. } => self
                .items(value)
                .filter(|items| items.len() <= MOST_ARGUMENTS)
                .ok_or_else(|| format!("a tuple of more than {MOST_ARGUMENTS} arguments")),
            other => Err(format!("expected a tuple, found {}", other.kind())),
        }
    }

    /// A name: text, or ASCII bytes where Python 2 wrote them.
    pub fn name(&self, value: Value) -> Result<String, String> {
        match value {
            Value::Text(payload) | Value::Bytes(payload) => payload
                .text(self.file, LONGEST_NAME)
                .map_err(|fault| fault.message),
            other => Err(format!("expected a str, found {}", other.kind())),
        }
    }
}
