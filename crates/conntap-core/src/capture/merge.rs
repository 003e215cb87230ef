//! Several captures as one, in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{CaptureError, Frame, Reader};

/// What a merge has next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// The earliest frame, and the number of its input.
    Frame(usize, Frame<'a>),
    /// A fault of an input. Given once; reading goes on.
    Error(usize, CaptureError),
    /// This input has no whole frame left: [`Merge::feed`] it or say with [`Merge::finish`] that it has ended.
    Need(usize),
    /// All inputs have ended.
    End,
}

/// Merges captures: the caller reads the files, the merge says of which it needs bytes.
///
/// Each input is taken to be in order. Where one is not, its frames keep their order within it. Frames of the same
/// time come in the order of their inputs.
#[derive(Debug)]
pub struct Merge {
    inputs: Vec<Input>,
    /// Inputs whose next frame is known, by its time.
    heads: BinaryHeap<Reverse<(i64, usize)>>,
    /// Inputs whose next frame is not known.
    waiting: Vec<usize>,
}

#[derive(Debug, Default)]
struct Input {
    reader: Reader,
    ended: bool,
    ahead_ns: i64,
}

impl Merge {
    /// A merge of so many inputs, numbered from 0.
    #[must_use]
    pub fn new(inputs: usize) -> Self {
        Self {
            inputs: (0..inputs).map(|_| Input::default()).collect(),
            heads: BinaryHeap::with_capacity(inputs),
            waiting: (0..inputs).rev().collect(),
        }
    }

    /// Hand in the next bytes of an input.
    pub fn feed(&mut self, input: usize, bytes: &[u8]) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.reader.feed(bytes);
        }
    }

    /// Say that an input has ended.
    pub fn finish(&mut self, input: usize) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.ended = true;
        }
    }

    /// Say that an input's clock is ahead by so much: its frames take the time that the others had. Before the first
    /// frame.
    pub fn set_ahead_ns(&mut self, input: usize, ahead_ns: i64) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.ahead_ns = ahead_ns;
        }
    }

    /// The reader of an input, for its counters.
    #[must_use]
    pub fn reader(&self, input: usize) -> Option<&Reader> {
        self.inputs.get(input).map(|input| &input.reader)
    }

    /// The next frame in order of time, or what is in its way.
    #[allow(clippy::should_implement_trait)] // lends from itself, which Iterator cannot
    pub fn next(&mut self) -> Next<'_> {
        // No frame may go before the next of every input is known.
        while let Some(&at) = self.waiting.last() {
            let Some(input) = self.inputs.get_mut(at) else { break };
            match input.reader.peek_ns() {
                Some(Ok(time_ns)) => self.heads.push(Reverse((time_ns.saturating_sub(input.ahead_ns), at))),
                Some(Err(error)) => return Next::Error(at, error),
                None if !input.ended => return Next::Need(at),
                None => {
                    if let Err(error) = input.reader.finish() {
                        return Next::Error(at, error);
                    }
                }
            }
            self.waiting.pop();
        }
        let Some(Reverse((_, at))) = self.heads.pop() else { return Next::End };
        self.waiting.push(at);
        let Some(input) = self.inputs.get_mut(at) else { return Next::End };
        let ahead_ns = input.ahead_ns;
        match input.reader.next() {
            Some(Ok(frame)) => Next::Frame(at, Frame { time_ns: frame.time_ns.saturating_sub(ahead_ns), ..frame }),
            Some(Err(error)) => Next::Error(at, error),
            None => Next::Need(at),
        }
    }
}
