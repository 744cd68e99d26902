//! Who has made a backup: signatures of descriptions, and whose are believed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::read::is_key;

/// How a public key of the curve P-256 begins; its point follows.
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const POINT: usize = 65;

/// The public half of a key that signs descriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    id: String,
    point: Vec<u8>,
}

impl Signer {
    /// Reads it from PEM.
    ///
    /// # Errors
    /// It is none of this kind.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
            .map_err(|_| "there is no public key in it".to_owned())?;
        let point = der.strip_prefix(P256).filter(|point| point.len() == POINT);
        let point = point.ok_or("its public key is none of the curve P-256")?.to_vec();
        let id = Sha256::digest(&der).iter().take(8).fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
        Ok(Self { id, point })
    }

    /// By what this key and those that belong to it are told from others: 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a line is what this key has signed.
    fn has_signed(&self, line: &str, signature: &str) -> bool {
        let Ok(signature) = BASE64_STANDARD.decode(signature) else { return false };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(format!("{line}\n").as_bytes(), &signature)
            .is_ok()
    }
}

/// Whose descriptions of backups are believed. A volume of backups is no place to learn that from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Who signs them, where anybody is known who does.
    pub signer: Option<Signer>,
    /// Whether those that nobody has signed are believed as well.
    pub unsigned: bool,
}

impl Trust {
    /// Judges a description, as it stands on the volume.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(super) fn judge(&self, line: &str, signature: Option<&str>) -> Result<(), String> {
        let Some(signature) = signature else {
            return if self.unsigned {
                Ok(())
            } else {
                Err("nobody has signed it: it is from before backups were encrypted, or was put there by somebody \
                     else; --unsigned takes it all the same"
                    .to_owned())
            };
        };
        let theirs = key_id(line);
        match &self.signer {
            Some(signer) if signer.has_signed(line, signature) => Ok(()),
            Some(signer) if theirs.as_ref().is_none_or(|id| id == signer.id()) => {
                Err(format!("it is not what key {} has signed: somebody has changed it", signer.id()))
            }
            _ => Err(format!(
                "it is signed by another key ({}): name the file of that key with --key",
                theirs.as_deref().unwrap_or("unknown")
            )),
        }
    }
}

/// The key that a description names. It is a hint for people, until the signature has been judged.
fn key_id(line: &str) -> Option<String> {
    let description: serde_json::Value = serde_json::from_str(line).ok()?;
    let id = description.get("key_id")?.as_str()?;
    is_key(id).then(|| id.to_owned())
}

/// The file that opens the backups of one cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// What decrypts them, in PEM.
    pub private: String,
    /// What their signatures are verified with, in PEM.
    pub public: String,
    /// The same, to be asked.
    pub signer: Signer,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile").field("signer", &self.signer).finish_non_exhaustive()
    }
}

impl KeyFile {
    /// Reads its text.
    ///
    /// # Errors
    /// What is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected what `galeractl backup key export` has written";
        let block = |label: &str| block(text, label).ok_or_else(|| format!("it holds no {label}; {expected}"));
        Self::of(block("PRIVATE KEY")?, block("PUBLIC KEY")?).map_err(|why| format!("{why}; {expected}"))
    }

    /// Puts it together from its two halves, in PEM.
    ///
    /// # Errors
    /// The public one is none of this kind.
    pub fn of(private: String, public: String) -> Result<Self, String> {
        let signer = Signer::from_pem(&public)?;
        Ok(Self { private, public, signer })
    }

    /// The text of the file, for the backups of `folder`, as `namespace/cluster`.
    #[must_use]
    pub fn text(&self, folder: &str) -> String {
        format!(
            "# Key {} of the backups of {folder}. Whoever has this file can read them; without it, nobody can.\n{}\n{}\n",
            self.signer.id(),
            self.private.trim(),
            self.public.trim()
        )
    }
}

/// The first block of this kind in a text of PEM.
fn block(text: &str, label: &str) -> Option<String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let from = text.find(&begin)?;
    let to = from + text[from..].find(&end)? + end.len();
    Some(format!("{}\n", &text[from..to]))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;
    use crate::backups::Catalog;
    use crate::backups::tests::{catalog, printed};

    struct Pair(EcdsaKeyPair);

    impl Pair {
        fn new() -> Self {
            let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
        }

        fn public(&self) -> String {
            let der = [P256, self.0.public_key().as_ref()].concat();
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
        }

        fn signer(&self) -> Signer {
            Signer::from_pem(&self.public()).unwrap()
        }

        fn sign(&self, line: &str) -> String {
            let signature = self.0.sign(&SystemRandom::new(), format!("{line}\n").as_bytes()).unwrap();
            BASE64_STANDARD.encode(signature)
        }

        /// What a volume with one chain says, all of it signed.
        fn told(&self) -> Vec<String> {
            let mut told = Vec::new();
            let mut below = String::new();
            for line in printed(&catalog(&[2])) {
                let parts: Vec<&str> = line.splitn(3, ' ').collect();
                if parts[0] != "backup" {
                    told.push(line);
                    continue;
                }
                let mut description: serde_json::Value = serde_json::from_str(parts[2]).unwrap();
                description["key_id"] = self.signer().id().into();
                description["base_sum"] = below.as_str().into();
                below = format!("{:064x}", told.len() + 1);
                description["sha256"] = below.as_str().into();
                let text = description.to_string();
                told.push(format!("signature {} {}", parts[1], self.sign(&text)));
                told.push(format!("backup {} {text}", parts[1]));
            }
            told
        }
    }

    const FULL: &str = "20261120T000000Z-full";
    const FIRST: &str = "20261120T000001Z-inc";
    const SECOND: &str = "20261120T000002Z-inc";

    fn read(told: &[String], trust: &Trust) -> Catalog {
        Catalog::parse("data/shop", &told.join("\n"), trust)
    }

    /// What can be restored after a change of what the volume says, and what is said of the rest.
    fn after(change: impl Fn(&mut Vec<String>)) -> (Vec<String>, String) {
        let pair = Pair::new();
        let mut told = pair.told();
        change(&mut told);
        let catalog = read(&told, &Trust { signer: Some(pair.signer()), unsigned: false });
        let chains = crate::backups::chains(&catalog);
        let usable = chains.iter().flat_map(|chain| &chain.members).map(|backup| backup.id.clone()).collect();
        let unusable = catalog.unusable.iter().map(|one| format!("{}: {}", one.name, one.why));
        let broken = chains.iter().filter_map(|chain| chain.broken.clone());
        (usable, unusable.chain(broken).collect::<Vec<_>>().join("; "))
    }

    fn at(told: &[String], word: &str, id: &str) -> usize {
        told.iter().position(|line| line.starts_with(&format!("{word} {id} "))).unwrap()
    }

    #[test]
    fn what_is_signed_is_believed_whole_or_not_at_all() {
        let all = [FULL, FIRST, SECOND];
        assert_eq!(after(|_| {}).0, all);
        for id in all {
            for (from, to) in [
                ("\"seqno\":", "\"seqno\":9"),
                ("\"bytes\":100", "\"bytes\":101"),
                ("\"to_lsn\":", "\"to_lsn\":1"),
                ("\"sha256\":\"0", "\"sha256\":\"1"),
                ("\"namespace\":\"data\"", "\"namespace\":\"dat\""),
                ("}", " }"),
            ] {
                let (usable, why) = after(|told| {
                    let at = at(told, "backup", id);
                    assert!(told[at].contains(from), "{from}");
                    told[at] = told[at].replace(from, to);
                });
                assert!(!usable.iter().any(|name| name == id), "{id} {to}: {usable:?}");
                assert!(why.contains(&format!("{id}: it is not what key ")), "{why}");
            }
            let (usable, why) = after(|told| drop(told.remove(at(told, "signature", id))));
            assert!(!usable.iter().any(|name| name == id) && why.contains("nobody has signed it"), "{usable:?} {why}");
            for signature in ["", "AAAA", "$(id)", "=", "x y"] {
                let (usable, why) = after(|told| {
                    let at = at(told, "signature", id);
                    told[at] = format!("signature {id} {signature}");
                });
                assert!(!usable.iter().any(|name| name == id), "{signature}: {why}");
            }
        }
    }

    #[test]
    fn a_genuine_description_stands_only_for_its_own_backup_and_on_its_own_base() {
        // An old one under a newer name.
        let (usable, why) = after(|told| {
            for word in ["signature", "backup"] {
                let (from, to) = (at(told, word, FIRST), at(told, word, SECOND));
                told[to] = told[from].replacen(FIRST, SECOND, 1);
            }
        });
        assert_eq!(usable, [FULL, FIRST]);
        assert!(why.contains("an impossible `id`"), "{why}");
        // Signatures that have changed places.
        let (usable, _) = after(|told| {
            let (one, other) = (at(told, "signature", FIRST), at(told, "signature", SECOND));
            (told[one], told[other]) = (told[other].replace(SECOND, FIRST), told[one].replace(FIRST, SECOND));
        });
        assert_eq!(usable, [FULL]);
        // Another backup of the same name, which the same key has signed, in the place of the base.
        let pair = Pair::new();
        let (mut told, trust) = (pair.told(), Trust { signer: Some(pair.signer()), unsigned: false });
        let line = at(&told, "backup", FULL);
        let other = told[line].splitn(3, ' ').nth(2).unwrap().replace("\"sha256\":\"0", "\"sha256\":\"f");
        told[line] = format!("backup {FULL} {other}");
        let signature = at(&told, "signature", FULL);
        told[signature] = format!("signature {FULL} {}", pair.sign(&other));
        let catalog = read(&told, &trust);
        let chain = &crate::backups::chains(&catalog)[0];
        assert_eq!(chain.members.len(), 1);
        assert_eq!(chain.broken, Some(format!("{FIRST} builds on another {FULL} than the one that is there")));
    }

    #[test]
    fn others_keys_and_missing_signatures_are_believed_only_on_demand() {
        let (own, other) = (Pair::new(), Pair::new());
        let told = own.told();
        let usable = |told: &[String], signer: Option<&Pair>, unsigned| {
            read(told, &Trust { signer: signer.map(Pair::signer), unsigned }).backups.len()
        };
        for unsigned in [false, true] {
            assert_eq!(usable(&told, Some(&own), unsigned), 3);
            // To strip a signature is easier than to forge one, so this one is refused with any word.
            assert_eq!(usable(&told, Some(&other), unsigned), 0);
            assert_eq!(usable(&told, None, unsigned), 0);
        }
        let bare: Vec<String> = told.iter().filter(|line| !line.starts_with("signature")).cloned().collect();
        assert_eq!((usable(&bare, Some(&own), false), usable(&bare, None, false)), (0, 0));
        assert_eq!((usable(&bare, Some(&own), true), usable(&bare, None, true)), (3, 3));
        let catalog = read(&told, &Trust { signer: Some(other.signer()), unsigned: false });
        let why = format!("it is signed by another key ({}): name the file of that key with --key", own.signer().id());
        assert_eq!(catalog.unusable_together().len(), 1);
        assert_eq!(catalog.unusable_together()[0].name, format!("{FULL} and 2 more"));
        assert_eq!(catalog.unusable[0].why, why);
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused_with_what_it_lacks() {
        let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let public = Pair::new().public();
        let file = KeyFile::parse(&format!("# words\n{private}\nmore\n{public}")).unwrap();
        assert_eq!((file.private.as_str(), file.public.as_str()), (private, public.as_str()));
        let rsa = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf\n-----END PUBLIC KEY-----\n";
        for (text, why) in [
            (String::new(), "it holds no PRIVATE KEY"),
            (public.clone(), "it holds no PRIVATE KEY"),
            (private.to_owned(), "it holds no PUBLIC KEY"),
            (format!("{private}-----BEGIN PUBLIC KEY-----\n"), "it holds no PUBLIC KEY"),
            (format!("{private}{rsa}"), "its public key is none of the curve P-256"),
            (format!("{private}{}", public.replace("MFk", "???")), "there is no public key in it"),
        ] {
            let told = KeyFile::parse(&text).unwrap_err();
            assert!(told.starts_with(why) && told.contains("backup key export"), "{told}");
        }
    }
}
