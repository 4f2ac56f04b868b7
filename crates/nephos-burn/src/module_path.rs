//! The position of a traversal in a network.

/// The dotted path of a parameter, as `encoder.layers.0.linear1.weight`.
#[derive(Debug, Default)]
pub(crate) struct ModulePath(Vec<String>);

impl ModulePath {
    /// Goes into field `name`.
    pub(crate) fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// Goes back.
    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// The names of all fields, outermost first.
    pub(crate) fn dotted(&self) -> String {
        self.0.join(".")
    }

    /// The name of the innermost field; empty outside all.
    pub(crate) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }
}

/// The methods of a `ModuleVisitor` or `ModuleMapper` that keep its [`ModulePath`],
/// the field `path`.
macro_rules! keep_path {
    () => {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.enter(name);
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.leave();
        }
    };
}

pub(crate) use keep_path;
