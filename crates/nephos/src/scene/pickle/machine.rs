//! The pickle machine: a loop over opcodes with a stack and a memo.
//!
//! It follows Python's `pickletools` for protocols 0 to 5, but it builds inert
//! [`Value`]s, and a [`Host`] decides which globals exist and what calling them
//! means. Nothing is ever imported or run, there is no recursion, and work and
//! memory grow with the number of opcodes, each at least a byte of the file and
//! at most [`MOST_OPERATIONS`]; the length of a payload costs nothing.

use std::collections::HashMap;

use super::cursor::{Cursor, Fault};
use super::payload::{Encoding, Payload};
use super::value::{Heap, LONGEST_NAME, Value};

/// Most opcodes of one pickle: enough for 60 000 arrays, and what is kept for
/// them is never more than about 100 MB.
pub(crate) const MOST_OPERATIONS: usize = 1 << 21;

/// Longest line that holds a number.
const LONGEST_NUMBER: usize = 64;

/// What a pickle may name, and what it means there.
pub(crate) trait Host {
    /// The number of an allowed global.
    fn global(&self, module: &str, name: &str) -> Option<u8>;

    /// `callable(*arguments)`.
    fn reduce(
        &mut self,
        heap: &mut Heap<'_>,
        callable: Value,
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
    stack: Vec<Value>,
    /// Heights of the stack at each open mark, ascending.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    host: &'h mut H,
}

/// Runs the pickle at the start of `file`; returns its object and the heap.
pub(crate) fn run<'a, H: Host>(file: &'a [u8], host: &mut H) -> Result<(Value, Heap<'a>), Fault> {
    let mut machine = Machine {
        cursor: Cursor::new(file),
        heap: Heap::new(file),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        host,
    };
    for _ in 0..MOST_OPERATIONS {
        let at = machine.cursor.position();
        let opcode = machine.cursor.u8()?;
        if opcode == b'.' {
            let value = machine.pop().map_err(|message| Fault::new(at, message))?;
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
                        format!("pickle protocol {version}; 0 to 5 are known"),
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
            b'I' => match self.cursor.short_line(LONGEST_NUMBER)? {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                text => Value::Int(number(text, at)?),
            },
            b'L' => {
                let text = self.cursor.short_line(LONGEST_NUMBER)?;
                Value::Int(number(text.strip_suffix('L').unwrap_or(text), at)?)
            }
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.cursor.array()?))),
            b'K' => Value::Int(i64::from(self.cursor.u8()?)),
            b'M' => Value::Int(i64::from(self.cursor.u16()?)),
            0x8a => {
                let len = u64::from(self.cursor.u8()?);
                self.long(len)?
            }
            0x8b => {
                let len = u64::from(self.cursor.u32()?);
                self.long(len)?
            }
            b'F' => {
                let _: f64 = number(self.cursor.short_line(LONGEST_NUMBER)?, at)?;
                Value::Float
            }
            b'G' => {
                self.cursor.array::<8>()?;
                Value::Float
            }
            b'S' => Value::Text(self.quoted()?),
            b'V' => Value::Text(self.cursor.line(Encoding::RawUnicodeEscape)?),
            // The strings of Python 2 are bytes that often are text.
            b'T' => Value::Text(self.sized(4, Encoding::Verbatim)?),
            b'U' => Value::Text(self.sized(1, Encoding::Verbatim)?),
            0x8c => Value::Text(self.sized(1, Encoding::Utf8)?),
            b'X' => Value::Text(self.sized(4, Encoding::Utf8)?),
            0x8d => Value::Text(self.sized(8, Encoding::Utf8)?),
            b'C' => Value::Bytes(self.sized(1, Encoding::Verbatim)?),
            b'B' => Value::Bytes(self.sized(4, Encoding::Verbatim)?),
            0x8e | 0x96 => Value::Bytes(self.sized(8, Encoding::Verbatim)?),
            b'c' => {
                let module = self.cursor.short_line(LONGEST_NAME)?;
                let name = self.cursor.short_line(LONGEST_NAME)?;
                self.global(module, name)
                    .map_err(|message| Fault::new(at, message))?
            }
            b'g' => {
                let key = number(self.cursor.short_line(LONGEST_NUMBER)?, at)?;
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
                let key = number(self.cursor.short_line(LONGEST_NUMBER)?, at)?;
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
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'0' => {
                // As in Python, POP drops an open mark if nothing lies above it.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    return Ok(());
                }
                return self.pop().map(drop);
            }
            b'1' => return self.pop_to_mark().map(drop),
            b'2' => self.top()?,
            b')' => self.heap.new_tuple(&[]),
            b't' => {
                let items = self.pop_to_mark()?;
                self.heap.new_tuple(&items)
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode) - 0x84)?;
                self.heap.new_tuple(&items)
            }
            b']' => self.heap.new_list(Vec::new()),
            b'l' => {
                let items = self.pop_to_mark()?;
                self.heap.new_list(items)
            }
            b'a' => {
                let item = self.pop()?;
                return self.append(vec![item]);
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                return self.append(items);
            }
            b'}' => self.heap.new_dict(),
            b'd' => {
                let items = self.pop_to_mark()?;
                let dict = self.heap.new_dict();
                self.stack.push(dict);
                return self.set_items(&items);
            }
            b's' => {
                let items = self.pop_many(2)?;
                return self.set_items(&items);
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                return self.set_items(&items);
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let (module, name) = (self.heap.name(module)?, self.heap.name(name)?);
                self.global(&module, &name)?
            }
            b'R' => {
                let arguments = self.pop()?;
                let callable = self.pop()?;
                self.host.reduce(&mut self.heap, callable, arguments)?
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                return self.host.build(&mut self.heap, target, state);
            }
            b'Q' => {
                let id = self.pop()?;
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

    /// Height below which the stack belongs to what encloses the open mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Value, String> {
        match self.stack.last() {
            Some(value) if self.stack.len() > self.floor() => Ok(*value),
            _ => Err("the stack is empty".to_owned()),
        }
    }

    fn pop(&mut self) -> Result<Value, String> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(format!("fewer than {count} objects on the stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let start = self.marks.pop().ok_or("no mark is open")?;
        Ok(self.stack.split_off(start))
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        let target = self.top()?;
        let list = self
            .heap
            .list_mut(target)
            .ok_or_else(|| format!("expected a list to append to, found {}", target.kind()))?;
        list.extend(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Value]) -> Result<(), String> {
        let target = self.top()?;
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
        let value = self.top().map_err(|message| Fault::new(at, message))?;
        self.memo.insert(key, value);
        Ok(())
    }

    /// Text or bytes after a little-endian length of `width` bytes.
    fn sized(&mut self, width: u8, encoding: Encoding) -> Result<Payload, Fault> {
        let len = match width {
            1 => u64::from(self.cursor.u8()?),
            4 => u64::from(self.cursor.u32()?),
            _ => self.cursor.u64()?,
        };
        self.cursor.payload(len, encoding)
    }

    /// A string literal in quotes, to the end of the line.
    fn quoted(&mut self) -> Result<Payload, Fault> {
        let line = self.cursor.line(Encoding::StringEscape)?;
        let stored = &self.heap.file[line.start..line.start + line.len];
        match stored {
            [b'\'', .., b'\''] | [b'"', .., b'"'] => Ok(Payload {
                start: line.start + 1,
                len: line.len - 2,
                ..line
            }),
            _ => Err(Fault::new(line.start, "expected a string in quotes")),
        }
    }

    /// A two's complement integer of `len` bytes.
    fn long(&mut self, len: u64) -> Result<Value, Fault> {
        let payload = self.cursor.payload(len, Encoding::Verbatim)?;
        if payload.len > 8 {
            return Err(Fault::new(payload.start, "an integer of more than 64 bits"));
        }
        let stored = &self.heap.file[payload.start..payload.start + payload.len];
        let negative = stored.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut bytes = [if negative { 0xff } else { 0 }; 8];
        bytes[..stored.len()].copy_from_slice(stored);
        Ok(Value::Int(i64::from_le_bytes(bytes)))
    }
}

/// A number written as text.
fn number<T: std::str::FromStr>(text: &str, at: usize) -> Result<T, Fault> {
    text.trim().parse().map_err(|_| {
        Fault::new(
            at,
            format!("`{}` is not the number expected", text.escape_debug()),
        )
    })
}
