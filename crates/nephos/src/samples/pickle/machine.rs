//! The pickle machine: a loop over opcodes with a stack and a memo.
//!
//! It follows Python's `pickletools` for protocols 0 to 5, but it builds inert
//! [`Value`]s, and a [`Host`] decides which globals exist and what calling them
//! means. Nothing is ever imported or run, there is no recursion, and work and
//! memory grow with the number of opcodes, each at least a byte of the file and
//! at most [`MOST_OPERATIONS`]; the length of a payload costs nothing.

use std::collections::HashMap;

use super::cursor::{Cursor, Fault};
use super::payload::Encoding;
use super::stack::Stack;
use super::value::{Heap, LONGEST_NAME, Value};

/// Most opcodes of one pickle: enough for 60 000 arrays, and the memory
/// for them is at most about 100 MB.
pub(crate) const MOST_OPERATIONS: usize = 1 << 21;

/// What a pickle may name, and what it means there.
pub(crate) trait Host {
    /// The number of an allowed global.
    fn global(&self, module: &str, name: &str) -> Option<u8>;

    /// `global(*arguments)`, of a number that [`Host::global`] gave: nothing else
    /// is ever called.
    fn reduce(
        &mut self,
        heap: &mut Heap<'_>,
        global: u8,
        arguments: Value,
    ) -> Result<Value, String>;

    /// `target.__setstate__(state)`.
    fn build(&mut self, heap: &mut Heap<'_>, target: Value, state: Value) -> Result<(), String>;

    /// The object that the pickle calls `id`, kept outside of it.
    fn persistent(&mut self, heap: &mut Heap<'_>, id: Value) -> Result<Value, String>;
}

struct Machine<'a, 'h, H> {
    cursor: Cursor<'a>,
    heap: Heap<'a>,
    stack: Stack,
    memo: HashMap<u64, Value>,
    host: &'h mut H,
}

/// Runs the pickle at the start of `file`; returns its object and the heap.
pub(crate) fn run<'a, H: Host>(file: &'a [u8], host: &mut H) -> Result<(Value, Heap<'a>), Fault> {
    let mut machine = Machine {
        cursor: Cursor::new(file),
        heap: Heap::new(file),
        stack: Stack::default(),
        memo: HashMap::new(),
        host,
    };
    for _ in 0..MOST_OPERATIONS {
        let at = machine.cursor.position();
        let opcode = machine.cursor.u8()?;
        if opcode == b'.' {
            let value = machine
                .stack
                .pop()
                .map_err(|message| Fault::new(at, message))?;
            return Ok((value, machine.heap));
        }
        machine.step(opcode, at)?;
    }
    Err(Fault::new(
        machine.cursor.position(),
        format!("more than {MOST_OPERATIONS} operations"),
    ))
}

impl<H: Host> Machine<'_, '_, H> {
    /// Executes one opcode that began at byte `at`.
    fn step(&mut self, opcode: u8, at: usize) -> Result<(), Fault> {
        let value = match opcode {
            0x80 => {
                let version = self.cursor.u8()?;
                return match version {
                    0..=5 => Ok(()),
                    _ => Err(Fault::new(
                        at,
                        format!("pickle protocol {version}; 0 to 5 are supported"),
                    )),
                };
            }
            0x95 => {
                let len = self.cursor.u64()?;
                let left = self.cursor.remaining();
                return if len <= left as u64 {
                    Ok(())
                } else {
                    let message = format!("a frame of {len} bytes, {left} left");
                    Err(Fault::new(at, message))
                };
            }
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'I' => self.cursor.int_or_bool()?,
            b'L' => Value::Int(self.cursor.long_line()?),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.cursor.array()?))),
            b'K' => Value::Int(i64::from(self.cursor.u8()?)),
            b'M' => Value::Int(i64::from(self.cursor.u16()?)),
            0x8a => {
                let len = u64::from(self.cursor.u8()?);
                Value::Int(self.cursor.long(len)?)
            }
            0x8b => {
                let len = u64::from(self.cursor.u32()?);
                Value::Int(self.cursor.long(len)?)
            }
            b'F' => {
                self.cursor.number::<f64>()?;
                Value::Float
            }
            b'G' => {
                self.cursor.array::<8>()?;
                Value::Float
            }
            b'S' => Value::Text(self.cursor.quoted()?),
            b'V' => Value::Text(self.cursor.line(Encoding::RawUnicodeEscape)?),
            // The strings of Python 2 are bytes that often are text.
            b'T' => Value::Text(self.cursor.sized(4, Encoding::Verbatim)?),
            b'U' => Value::Text(self.cursor.sized(1, Encoding::Verbatim)?),
            0x8c => Value::Text(self.cursor.sized(1, Encoding::Utf8)?),
            b'X' => Value::Text(self.cursor.sized(4, Encoding::Utf8)?),
            0x8d => Value::Text(self.cursor.sized(8, Encoding::Utf8)?),
            b'C' => Value::Bytes(self.cursor.sized(1, Encoding::Verbatim)?),
            b'B' => Value::Bytes(self.cursor.sized(4, Encoding::Verbatim)?),
            0x8e | 0x96 => Value::Bytes(self.cursor.sized(8, Encoding::Verbatim)?),
            b'c' => {
                let module = self.cursor.short_line(LONGEST_NAME)?;
                let name = self.cursor.short_line(LONGEST_NAME)?;
                self.global(module, name)
                    .map_err(|message| Fault::new(at, message))?
            }
            b'g' => {
                let key = self.cursor.number()?;
                self.recall(key, at)?
            }
            b'h' => {
                let key = u64::from(self.cursor.u8()?);
                self.recall(key, at)?
            }
            b'j' => {
                let key = u64::from(self.cursor.u32()?);
                self.recall(key, at)?
            }
            b'p' => {
                let key = self.cursor.number()?;
                return self.remember(key, at);
            }
            b'q' => {
                let key = u64::from(self.cursor.u8()?);
                return self.remember(key, at);
            }
            b'r' => {
                let key = u64::from(self.cursor.u32()?);
                return self.remember(key, at);
            }
            0x94 => return self.remember(self.memo.len() as u64, at),
            _ => {
                return self
                    .rearrange(opcode)
                    .map_err(|message| Fault::new(at, message));
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// Executes an opcode that reads nothing but the stack.
    fn rearrange(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            b'(' => {
                self.stack.mark();
                return Ok(());
            }
            b'0' => return self.stack.discard(),
            b'1' => return self.stack.pop_to_mark().map(drop),
            b'2' => self.stack.top()?,
            b')' => self.heap.new_tuple(&[]),
            b't' => {
                let items = self.stack.pop_to_mark()?;
                self.heap.new_tuple(&items)
            }
            0x85..=0x87 => {
                let items = self.stack.pop_many(usize::from(opcode) - 0x84)?;
                self.heap.new_tuple(&items)
            }
            b']' => self.heap.new_list(Vec::new()),
            b'l' => {
                let items = self.stack.pop_to_mark()?;
                self.heap.new_list(items)
            }
            b'a' => {
                let item = self.stack.pop()?;
                return self.append(vec![item]);
            }
            b'e' => {
                let items = self.stack.pop_to_mark()?;
                return self.append(items);
            }
            b'}' => self.heap.new_dict(),
            b'd' => {
                let items = self.stack.pop_to_mark()?;
                let dict = self.heap.new_dict();
                self.stack.push(dict);
                return self.set_items(&items);
            }
            b's' => {
                let items = self.stack.pop_many(2)?;
                return self.set_items(&items);
            }
            b'u' => {
                let items = self.stack.pop_to_mark()?;
                return self.set_items(&items);
            }
            0x93 => {
                let name = self.stack.pop()?;
                let module = self.stack.pop()?;
                let (module, name) = (self.heap.name(module)?, self.heap.name(name)?);
                self.global(&module, &name)?
            }
            b'R' => {
                let arguments = self.stack.pop()?;
                match self.stack.pop()? {
                    Value::Global(id) => self.host.reduce(&mut self.heap, id, arguments)?,
                    other => return Err(format!("{} is called", other.kind())),
                }
            }
            b'b' => {
                let state = self.stack.pop()?;
                let target = self.stack.top()?;
                return self.host.build(&mut self.heap, target, state);
            }
            b'Q' => {
                let id = self.stack.pop()?;
                self.host.persistent(&mut self.heap, id)?
            }
            0x97 | 0x98 => {
                return Err("the array's data were pickled out of band, to another file".to_owned());
            }
            _ => return Err(format!("opcode {opcode:#04x} is unknown or not allowed")),
        };
        self.stack.push(value);
        Ok(())
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        let target = self.stack.top()?;
        let list = self
            .heap
            .list_mut(target)
            .ok_or_else(|| format!("expected a list to append to, found {}", target.kind()))?;
        list.extend(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Value]) -> Result<(), String> {
        let target = self.stack.top()?;
        let dict = self
            .heap
            .dict_mut(target)
            .ok_or_else(|| format!("expected a dict to fill, found {}", target.kind()))?;
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err("a dict's key without its value".to_owned());
        };
        dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
        Ok(())
    }

    fn global(&self, module: &str, name: &str) -> Result<Value, String> {
        self.host
            .global(module, name)
            .map(Value::Global)
            .ok_or_else(|| {
                format!(
                    "the pickle names `{}.{}`, which is not allowed: nothing is run from a file",
                    module.escape_debug(),
                    name.escape_debug()
                )
            })
    }

    fn recall(&self, key: u64, at: usize) -> Result<Value, Fault> {
        self.memo
            .get(&key)
            .copied()
            .ok_or_else(|| Fault::new(at, format!("memo {key} was never stored")))
    }

    fn remember(&mut self, key: u64, at: usize) -> Result<(), Fault> {
        let value = self
            .stack
            .top()
            .map_err(|message| Fault::new(at, message))?;
        self.memo.insert(key, value);
        Ok(())
    }
}
