//! A graph of ONNX operators as it grows.

use super::protobuf::Message;

/// A value in the graph, by name.
pub(super) type Value = String;

/// An attribute of an operator, by name.
pub(super) enum Attribute<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
    Float(&'a str, f32),
    Text(&'a str, &'a str),
}

/// An extent of an input or output.
pub(super) enum Extent<'a> {
    Fixed(usize),
    Any(&'a str),
}

/// Types of elements.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// Operators in the order of computation, and their constants.
#[derive(Debug, Default)]
pub(super) struct Graph {
    message: Message,
    values: usize,
}

impl Graph {
    /// Adds an operator and returns its one output.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: &[Attribute<'_>],
    ) -> Value {
        let [output] = self.node_with([""], operator, inputs, attributes);
        output
    }

    /// The same with the name `output`, which no other value has.
    pub fn node_named(
        &mut self,
        output: &str,
        operator: &str,
        inputs: &[&Value],
        attributes: &[Attribute<'_>],
    ) -> Value {
        let [output] = self.node_with([output], operator, inputs, attributes);
        output
    }

    /// The same with several outputs.
    pub fn nodes<const N: usize>(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: &[Attribute<'_>],
    ) -> [Value; N] {
        self.node_with([""; N], operator, inputs, attributes)
    }

    fn node_with<const N: usize>(
        &mut self,
        names: [&str; N],
        operator: &str,
        inputs: &[&Value],
        attributes: &[Attribute<'_>],
    ) -> [Value; N] {
        let outputs = names.map(|name| match name.is_empty() {
            true => self.fresh(operator),
            false => name.to_owned(),
        });
        let mut node = Message::default();
        inputs.iter().for_each(|input| node.text(1, input));
        outputs.iter().for_each(|output| node.text(2, output));
        node.text(3, &outputs[0]);
        node.text(4, operator);
        for attribute in attributes {
            node.message(5, &encoded(attribute));
        }
        self.message.message(1, &node);
        outputs
    }

    /// A constant of 32-bit numbers, named `name`, which no other constant is.
    ///
    /// # Shapes
    /// - values: `shape`
    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.tensor(name, shape, FLOAT, &bytes)
    }

    /// One 32-bit number.
    pub fn number(&mut self, value: f32) -> Value {
        let name = self.fresh("number");
        self.constant(&name, &[], &[value])
    }

    /// A constant list of 32-bit numbers.
    pub fn numbers(&mut self, values: &[f32]) -> Value {
        let name = self.fresh("numbers");
        self.constant(&name, &[values.len()], values)
    }

    /// A constant list of integers.
    pub fn integers(&mut self, values: &[i64]) -> Value {
        let name = self.fresh("integers");
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.tensor(&name, &[values.len()], INT64, &bytes)
    }

    fn tensor(&mut self, name: &str, shape: &[usize], kind: i64, bytes: &[u8]) -> Value {
        let mut tensor = Message::default();
        shape
            .iter()
            .for_each(|extent| tensor.int(1, *extent as i64));
        tensor.int(2, kind);
        tensor.text(8, name);
        tensor.bytes(9, bytes);
        self.message.message(5, &tensor);
        name.to_owned()
    }

    fn fresh(&mut self, what: &str) -> Value {
        self.values += 1;
        format!("{}_{}", what.to_lowercase(), self.values)
    }

    /// The graph's one input and one output, both of 32-bit numbers.
    pub fn finish(mut self, name: &str, ends: [(&str, &[Extent<'_>], &str); 2]) -> Message {
        self.message.text(2, name);
        for (field, (name, shape, about)) in [11, 12].into_iter().zip(ends) {
            self.message.message(field, &value_info(name, shape, about));
        }
        self.message
    }
}

fn encoded(attribute: &Attribute<'_>) -> Message {
    let mut message = Message::default();
    let kind = match attribute {
        Attribute::Float(name, value) => {
            message.text(1, name);
            message.float(2, *value);
            1
        }
        Attribute::Int(name, value) => {
            message.text(1, name);
            message.int(3, *value);
            2
        }
        Attribute::Text(name, value) => {
            message.text(1, name);
            message.text(4, value);
            3
        }
        Attribute::Ints(name, values) => {
            message.text(1, name);
            values.iter().for_each(|value| message.int(8, *value));
            7
        }
    };
    message.int(20, kind);
    message
}

fn value_info(name: &str, shape: &[Extent<'_>], about: &str) -> Message {
    let mut extents = Message::default();
    for extent in shape {
        let extent = Message::default().with(|message| match extent {
            Extent::Fixed(extent) => message.int(1, *extent as i64),
            Extent::Any(name) => message.text(2, name),
        });
        extents.message(1, &extent);
    }
    let tensor = Message::default().with(|message| {
        message.int(1, FLOAT);
        message.message(2, &extents);
    });
    let kind = Message::default().with(|message| message.message(1, &tensor));
    Message::default().with(|message| {
        message.text(1, name);
        message.message(2, &kind);
        message.text(3, about);
    })
}
