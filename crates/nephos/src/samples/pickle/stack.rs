//! The stack of a pickle machine, with its marks.

use super::value::Value;

/// Objects in the making; a mark shields those below it.
#[derive(Default)]
pub(crate) struct Stack {
    values: Vec<Value>,
    /// Heights of the stack at each open mark, ascending.
    marks: Vec<usize>,
}

impl Stack {
    pub fn push(&mut self, value: Value) {
        self.values.push(value);
    }

    pub fn mark(&mut self) {
        self.marks.push(self.values.len());
    }

    /// Drops the top or, as Python does, an open mark with nothing above.
    pub fn discard(&mut self) -> Result<(), String> {
        if self.marks.last() == Some(&self.values.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    /// Height below which the stack belongs to what encloses the open mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub fn top(&self) -> Result<Value, String> {
        match self.values.last() {
            Some(value) if self.values.len() > self.floor() => Ok(*value),
            _ => Err("the stack is empty".to_owned()),
        }
    }

    pub fn pop(&mut self) -> Result<Value, String> {
        let value = self.top()?;
        self.values.pop();
        Ok(value)
    }

    pub fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        match self.values.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.values.split_off(start)),
            _ => Err(format!("fewer than {count} objects on the stack")),
        }
    }

    pub fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let start = self.marks.pop().ok_or("no mark is open")?;
        Ok(self.values.split_off(start))
    }
}
