//! What can be wrong with a node of the lab.

use std::fmt;
use std::str::FromStr;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What is wrong with a node.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it on the command line.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

faults! {
    /// Takes the connection and says nothing.
    Hang = "hang";
    /// Closes in the middle of the handshake.
    Drop = "drop";
    /// Waits a second before each thing it says.
    Slow = "slow";
    /// Nothing listens on its port.
    Refuse = "refuse";
    /// Answers each command and each question to HAProxy without end.
    Flood = "flood";
    /// Its HAProxy has one server in maintenance.
    Disagree = "disagree";
    /// Nothing listens on the sockets of its HAProxy.
    HaproxyDown = "haproxy-down";
    /// Refuses every login.
    AuthFail = "auth-fail";
    /// Shows another host key than the known one.
    ChangedHostKey = "changed-hostkey";
    /// Sheds load before the handshake, as sshd beyond its MaxStartups.
    MaxStartups = "maxstartups";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault `{0}`, known are: {known}", known = Fault::ALL.iter().map(|fault| fault.as_str()).collect::<Vec<_>>().join(", "))]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        Self::ALL
            .iter()
            .copied()
            .find(|fault| fault.as_str() == text)
            .ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_back_from_its_word() {
        for fault in Fault::ALL {
            assert_eq!(fault.as_str().parse(), Ok(*fault));
        }
        let error = "hangs".parse::<Fault>().unwrap_err().to_string();
        assert!(error.starts_with("unknown fault `hangs`, known are: hang, drop, slow"));
    }
}
