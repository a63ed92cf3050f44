//! A password that does not get into logs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest password, in characters.
pub const MAX_PASSWORD: usize = 64;

/// A password of 1 to [`MAX_PASSWORD`] printable characters. `Debug` shows `***`; it serializes in clear, for
/// private sockets and stores only.
///
/// Logins are compared by digest and in constant time; `==` is for configurations and is not.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(String);

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has 1 to {MAX_PASSWORD} printable characters")]
pub struct SecretError;

impl Secret {
    /// Checks and keeps a password.
    ///
    /// # Errors
    /// When it is empty, too long or has control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretError> {
        let text = text.into();
        let length = text.chars().take(MAX_PASSWORD + 1).count();
        if length == 0 || length > MAX_PASSWORD || text.chars().any(char::is_control) {
            return Err(SecretError);
        }
        Ok(Self(text))
    }

    /// The password in clear.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl TryFrom<String> for Secret {
    type Error = SecretError;
    fn try_from(text: String) -> Result<Self, SecretError> {
        Self::new(text)
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_can_be_typed() {
        assert!(Secret::new("p").is_ok());
        assert!(Secret::new("ü".repeat(64)).is_ok());
        assert_eq!(Secret::new(""), Err(SecretError));
        assert_eq!(Secret::new("p".repeat(65)), Err(SecretError));
        assert_eq!(Secret::new("a\nb"), Err(SecretError));
        assert!(serde_json::from_str::<Secret>("\"\"").is_err());
    }

    #[test]
    fn never_shows_itself() {
        let secret = Secret::new("hidden").unwrap();
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hidden\"");
    }
}
