//! `--name value` pairs, and after `--` a command.

use std::collections::HashMap;
use std::str::FromStr;

use crate::Outcome;

/// The command line of a tool.
pub struct Arguments {
    named: HashMap<String, String>,
    pub command: Vec<String>,
}

impl Arguments {
    pub fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut named = HashMap::new();
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let name = word.strip_prefix("--").ok_or_else(|| format!("'{word}' is no option"))?;
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            named.insert(name.to_owned(), value);
        }
        Ok(Self { named, command: words.collect() })
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    pub fn number<T: FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name}: '{text}' is no such number")),
        }
    }
}
