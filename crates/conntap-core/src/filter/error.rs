//! What is wrong with a filter text, and where.

/// A filter text that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// Column of the fault, in characters from 0.
    pub at: usize,
    /// Characters at fault; at least 1, also behind the end of the text.
    pub len: usize,
    /// What to write instead.
    pub hint: Option<String>,
}

impl FilterError {
    pub(crate) fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), at: span.at, len: span.len.max(1), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The text with a caret line under the fault.
    #[must_use]
    pub fn caret(&self, text: &str) -> String {
        let blanks: String = text.chars().take(self.at).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!("{text}\n{blanks}{}", "^".repeat(self.len))
    }
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, ", {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FilterError {}

/// A stretch of the text, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub at: usize,
    pub len: usize,
}
