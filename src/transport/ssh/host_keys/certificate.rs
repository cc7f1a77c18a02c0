//! Whether a host certificate is good (OpenSSH's PROTOCOL.certkeys; the authority itself is looked up elsewhere).

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg};

use crate::transport::ssh::user_config::AlgorithmList;

/// OpenSSH's default of `CASignatureAlgorithms`, which is also all that we can verify: no SHA-1, no DSA.
const SIGNATURES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// Checks everything but the signature of the key exchange, which the connection has checked by then.
///
/// # Errors
/// The reason, in words.
pub(super) fn check(
    certificate: &Certificate,
    name: &str,
    now: u64,
    accepted: &AlgorithmList,
) -> Result<(), String> {
    if certificate.cert_type() != CertType::Host {
        return Err("it is a user's certificate".to_owned());
    }
    let (after, before) = (certificate.valid_after(), certificate.valid_before());
    if now < after {
        return Err("it is not valid yet; check the clocks".to_owned());
    }
    if now >= before {
        return Err("it has expired".to_owned());
    }
    let signature = certificate.signature().algorithm();
    let accepted = accepted.apply(SIGNATURES, SIGNATURES);
    if !accepted.iter().any(|known| known == signature.as_str()) {
        return Err(format!(
            "its signature algorithm {signature} is not accepted"
        ));
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    if certificate.validate_at(now, [&authority]).is_err() {
        return Err("its signature is wrong".to_owned());
    }
    if let Some((option, _)) = certificate.critical_options().iter().next() {
        return Err(format!(
            "it has the critical option `{option}`, which is not known"
        ));
    }
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !principals.iter().any(|one| one == name) {
        return Err(format!(
            "it is for {}, not for {name}",
            principals.join(", ").escape_debug()
        ));
    }
    Ok(())
}

/// Host key algorithms whose certificates we understand, most preferred first.
pub(super) const CERTIFIED: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];
