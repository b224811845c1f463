//! Certificates that the gateway orders by itself, as far as it can be decided without a socket or a
//! file: which names, when to order and when to wait, what is counted, whether what came is good,
//! and which challenges are open (contract: The edge).
//!
//! Entered by: the moment of the clock, the files of the directory as bytes, what an authority has
//! sent. May import: `clock`, `tls`.

pub mod certificate;
pub mod challenges;
pub mod ledger;
pub mod name;
pub mod plan;
pub mod words;

use sha2::{Digest as _, Sha256};

/// The folder, within the directory of the certificates, for what belongs to the authority with this
/// directory URL. Each authority has its own, so that a change from staging to production orders at
/// once and starts no count anew.
pub fn folder_of(directory: &str) -> String {
    let host = directory.split("://").nth(1).unwrap_or(directory);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let shown: String = host
        .chars()
        .map(|c| if is_plain(&c) { c } else { '-' })
        .take(100)
        .collect();
    let digest = Sha256::digest(directory.as_bytes());
    let (mark, _) = digest.split_at(4);
    format!("{}-{}", shown.trim_start_matches('.'), hex::encode(mark))
}

/// The file of a name's certificate and key. A name is a host name, so it leads nowhere else.
pub fn file_of(name: &str) -> String {
    format!("{name}.pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_has_a_folder_of_its_own_that_leads_nowhere_else() {
        let rows = [
            (
                "https://acme-v02.api.letsencrypt.org/directory",
                "acme-v02.api.letsencrypt.org-",
            ),
            ("https://127.0.0.1:14000/dir", "127.0.0.1-14000-"),
            ("https://[::1]:14000/dir", "---1--14000-"),
            ("https://../..//etc", "-"),
            ("", "-"),
        ];
        for (directory, beginning) in rows {
            let folder = folder_of(directory);
            assert!(folder.starts_with(beginning), "{folder}");
            assert!(!folder.contains('/') && folder != ".." && !folder.starts_with('.'));
            assert_eq!(folder.len(), beginning.len() + 8, "{folder}");
        }
        assert_ne!(folder_of("https://a/1"), folder_of("https://a/2"));
    }
}
