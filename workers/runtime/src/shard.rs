//! A shard as its owner has it: a stack, its sockets and its state segment.

use std::net::UdpSocket;

use fabric::{CELL_LEN, Cell, StateWriter};
use stack::Stack;

pub(crate) struct Shard {
    /// Its number, unique over all stacks.
    pub(crate) number: u16,
    pub(crate) stack: Box<dyn Stack>,
    /// One for each listen address of the stack.
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) state: StateWriter,
    /// Number of the outlet for the first listen address; the others follow.
    pub(crate) outlet: usize,
}

impl Shard {
    /// Writes down what the stack has to say of a context.
    pub(crate) fn save_stack(&mut self, index: u16) {
        let mut buffer = [0; CELL_LEN];
        let len = self.stack.encode_record(index, &mut buffer).unwrap_or(0);
        self.state.write(index, Cell::Stack, &buffer[..len]);
    }
}
