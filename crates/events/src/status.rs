//! A node's sign of life at a broker, which keeps the last one for whoever comes later.

use serde::{Deserialize, Serialize};

/// A node is there, or not: `{"Node":25011,"State":"online"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeStatus {
    /// Its ID.
    pub node: u32,
    /// Whether it is there.
    pub state: NodeState,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Its events are told.
    Online,
    /// They are not: it has ended, or its broker has lost it.
    Offline,
}

impl NodeStatus {
    /// The MQTT topic that it is kept on.
    #[must_use]
    pub fn topic(&self) -> String {
        format!("Master/{}/Status", self.node)
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_topic_a_node() {
        let status = NodeStatus { node: 25_011, state: NodeState::Online };
        assert_eq!(status.topic(), "Master/25011/Status");
        assert_eq!(status.to_json(), r#"{"Node":25011,"State":"online"}"#);
        let gone = NodeStatus { state: NodeState::Offline, ..status };
        assert_eq!(gone.to_json(), r#"{"Node":25011,"State":"offline"}"#);
    }
}
