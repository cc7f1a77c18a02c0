//! What is fuzzed: everything that a peer or a stranger's file can feed to this program, as functions of bytes.
//!
//! Compiled for tests, which run the corpora in `fuzz/corpus`, and for the fuzzer in `fuzz/`; no part of the program.
//! A target must not panic, not loop for ever, and not touch anything outside of a temporary folder.

mod files;
mod peers;

use std::future::Future;

/// A kind of input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also that of its folder in the corpus.
    pub name: &'static str,
    /// Reads the input as the program would.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "agent",
        run: peers::agent,
    },
    Target {
        name: "clubak",
        run: crate::cli::front::clubak::fuzz,
    },
    Target {
        name: "clush_conf",
        run: crate::config::clush::fuzz,
    },
    Target {
        name: "config",
        run: crate::config::fuzz,
    },
    Target {
        name: "fetch",
        run: crate::work::fetch::fuzz,
    },
    Target {
        name: "gateway_asked",
        run: peers::gateway_asked,
    },
    Target {
        name: "gateway_tells",
        run: peers::gateway_tells,
    },
    Target {
        name: "groups",
        run: crate::groups::fuzz,
    },
    Target {
        name: "haproxy",
        run: peers::haproxy,
    },
    Target {
        name: "known_hosts",
        run: files::known_hosts,
    },
    Target {
        name: "nodeset",
        run: files::nodeset,
    },
    Target {
        name: "output",
        run: peers::output,
    },
    Target {
        name: "pdsh",
        run: crate::transport::pdsh::fuzz,
    },
    Target {
        name: "services",
        run: files::services,
    },
    Target {
        name: "sftp",
        run: peers::sftp,
    },
    Target {
        name: "slurm",
        run: crate::transport::slurm::fuzz,
    },
    Target {
        name: "ssh_config",
        run: files::ssh_config,
    },
    Target {
        name: "sudo",
        run: peers::sudo,
    },
    Target {
        name: "topology",
        run: files::topology,
    },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs a future on a clock of its own, on which waiting costs nothing.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    Some(runtime.ok()?.block_on(future))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_target_has_a_corpus_and_reads_it() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for target in TARGETS {
            let folder = corpora.join(target.name);
            let files = fs::read_dir(&folder).unwrap_or_else(|_| panic!("{}", folder.display()));
            let mut read = 0;
            for file in files {
                let bytes = fs::read(file.unwrap().path()).unwrap();
                (target.run)(&bytes);
                // What is cut at any place is input, too.
                (target.run)(&bytes[..bytes.len() / 2]);
                read += 1;
            }
            assert!(read > 1, "{} has no corpus", target.name);
        }
        for folder in fs::read_dir(&corpora).unwrap() {
            let name = folder.unwrap().file_name().into_string().unwrap();
            assert!(target(&name).is_some(), "the corpus {name} has no target");
        }
    }
}
