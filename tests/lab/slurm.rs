//! A real Slurm on loopback for one test: munged, slurmctld, and a slurmd for each node `n1` to `nN`, all in one folder.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::process::{Daemon, find_program, until};
use super::{Hash, skip};

/// A running Slurm. Dropping it ends it and removes its files.
#[derive(Debug)]
pub(crate) struct Slurm {
    // Dropped in order: the controller may tell its nodes before they go, and munged serves both.
    controller: Option<Daemon>,
    nodes: Vec<Daemon>,
    munged: Option<Daemon>,
    dir: tempfile::TempDir,
}

impl Slurm {
    /// A Slurm of so many nodes; `None` means skip the test.
    pub(crate) fn up(count: usize) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip("only root can start slurmd");
            return None;
        }
        for program in ["munged", "slurmctld", "slurmd", "srun", "sinfo", "scontrol"] {
            if find_program(program, "").is_none() {
                skip(&format!("{program} is not installed"));
                return None;
            }
        }
        let dir = tempfile::Builder::new().prefix("slurm.").tempdir_in("/tmp");
        let dir = dir.expect("folder under /tmp");
        // munged refuses folders that others may write, slurmd those that it cannot read as somebody else.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        let mut slurm = Self {
            controller: None,
            nodes: Vec::new(),
            munged: None,
            dir,
        };
        slurm.write_files(count);
        slurm.start(count);
        Some(slurm)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_files(&self, count: usize) {
        let mut key = vec![0; 1024];
        fastrand::fill(&mut key);
        fs::write(self.at("munge.key"), key).expect("key");
        fs::set_permissions(self.at("munge.key"), fs::Permissions::from_mode(0o600)).expect("mode");
        fs::create_dir(self.at("state")).expect("folder");
        let ports: Vec<TcpListener> = (0..=count)
            .map(|_| TcpListener::bind("0.0.0.0:0").expect("free port"))
            .collect();
        let port = |at: usize| ports[at].local_addr().expect("address").port();
        let host = rustix::system::uname();
        let host = host.nodename().to_str().expect("host name");
        let host = host.split('.').next().unwrap_or(host);
        let mut conf = include_str!("slurm.conf.in")
            .replace("@DIR@", self.dir.path().to_str().expect("path"))
            .replace("@HOST@", host)
            .replace("@PORT@", &port(0).to_string())
            .replace("@COUNT@", &count.to_string());
        for node in 1..=count {
            fs::create_dir(self.at(&format!("spool-n{node}"))).expect("folder");
            conf.push_str(&format!(
                "NodeName=n{node} NodeHostname={host} NodeAddr=127.0.0.1 Port={} CPUs=2 State=UNKNOWN\n",
                port(node)
            ));
        }
        fs::write(self.conf(), conf).expect("slurm.conf");
    }

    fn start(&mut self, count: usize) {
        let dir = self.dir.path().display().to_string();
        let daemon = |slurm: &Self, program: &str, words: &[&str], log: &str| {
            let program = find_program(program, "").expect("was found before");
            let mut argv = vec![
                "env".to_owned(),
                format!("SLURM_CONF={}", slurm.conf().display()),
                program.display().to_string(),
            ];
            argv.extend(words.iter().map(|word| word.replace("@DIR@", &dir)));
            Daemon::start(&argv, &slurm.at(log))
        };
        let munged = [
            "--foreground",
            "--force",
            "--key-file=@DIR@/munge.key",
            "--socket=@DIR@/munge.sock",
            "--pid-file=@DIR@/munge.pid",
            "--log-file=@DIR@/munge.log",
            "--seed-file=@DIR@/munge.seed",
        ];
        self.munged = Some(daemon(self, "munged", &munged, "munged.out"));
        until("munged", Some(&self.at("munged.out")), || {
            self.at("munge.sock").exists()
        });
        self.controller = Some(daemon(self, "slurmctld", &["-D", "-c"], "slurmctld.out"));
        self.nodes = (1..=count)
            .map(|node| {
                daemon(
                    self,
                    "slurmd",
                    &["-D", "-N", &format!("n{node}")],
                    "slurmd.out",
                )
            })
            .collect();
        until("Slurm", Some(&self.at("slurmctld.out")), || {
            self.ask("sinfo", &["-h", "-t", "idle", "-o", "%D"]).trim() == count.to_string()
        });
    }

    fn conf(&self) -> PathBuf {
        self.at("slurm.conf")
    }

    /// Runs a program of Slurm's and returns what it says.
    pub(crate) fn ask(&self, program: &str, words: &[&str]) -> String {
        let output = Command::new(program)
            .args(words)
            .env("SLURM_CONF", self.conf())
            .stdin(Stdio::null())
            .output()
            .expect("program of Slurm's");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A run of `hash -R slurm`.
    pub(crate) fn hash(&self, words: &[&str]) -> Hash {
        Hash::new([&["-R", "slurm"], words].concat()).env("SLURM_CONF", self.conf())
    }

    /// The folder of this Slurm, for files of a test.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}
