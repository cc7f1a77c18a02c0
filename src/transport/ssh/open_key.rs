//! A private key that needs no passphrase any more, ready to sign for every node.

use ring::signature::Ed25519KeyPair;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::{self, Signature, private::KeypairData};
use russh::keys::{Algorithm, HashAlg, PrivateKey};

/// A key and what can be done once for all its signatures.
pub(super) struct OpenKey {
    private: PrivateKey,
    /// An Ed25519 key's pair: russh's own way derives the public half again for every signature.
    pair: Option<Ed25519KeyPair>,
}

impl OpenKey {
    pub(super) fn new(private: PrivateKey) -> Self {
        let pair = private.key_data().ed25519().and_then(|pair| {
            let (seed, public) = (pair.private.as_ref(), pair.public.as_ref());
            Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()
        });
        Self { private, pair }
    }

    /// Appends a signature to the data, as RFC 4252 section 7 has it: a string that holds algorithm and signature.
    ///
    /// russh signs with certificates of RSA keys as `ssh-rsa` (SHA-1), which servers refuse; here the hash is ours.
    pub(super) fn sign(
        &self,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, ssh_key::Error> {
        let signature = match (self.private.key_data(), &self.pair) {
            (_, Some(pair)) => Signature::new(Algorithm::Ed25519, pair.sign(&data).as_ref())?,
            (KeypairData::Rsa(rsa), None) => (rsa, hash).try_sign(&data)?,
            (other, None) => other.try_sign(&data)?,
        };
        let mut inner = Vec::new();
        signature.algorithm().as_str().encode(&mut inner)?;
        signature.as_bytes().encode(&mut inner)?;
        inner.encode(&mut data)?;
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::key::safe_rng;
    use russh::keys::signature::Verifier as _;
    use russh::keys::ssh_encoding::Decode as _;

    use super::*;

    #[test]
    fn ed25519_signatures_are_those_of_the_key() {
        let private = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let public = private.public_key().clone();
        let key = OpenKey::new(private);
        assert!(key.pair.is_some());
        let signed = key.sign(None, b"data".to_vec()).unwrap();
        let mut rest = signed.strip_prefix(b"data").unwrap();
        let inner = Vec::<u8>::decode(&mut rest).unwrap();
        let mut inner = &inner[..];
        assert_eq!(String::decode(&mut inner).unwrap(), "ssh-ed25519");
        let signature = Vec::<u8>::decode(&mut inner).unwrap();
        let signature = Signature::new(Algorithm::Ed25519, signature).unwrap();
        assert!(public.key_data().verify(b"data", &signature).is_ok());
    }
}
