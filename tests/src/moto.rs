//! A moto server (the AWS services that are not EC2) for one test: started on a free port, ended with the value, even
//! if the test panics or is killed. Only tests depend on this crate.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};

/// The version that the tests are written for.
pub const VERSION: &str = "5.2.5";
/// The account that moto plays.
pub const ACCOUNT: &str = "123456789012";
/// The region of [`Moto::config`].
pub const REGION: &str = "us-east-1";

/// Where `moto_server` is, if it is not in `PATH`.
const PROGRAM: &str = "BAKEHOUSE_TEST_MOTO";
/// It answers within a second; a loaded machine is given more.
const START: Duration = Duration::from_secs(60);
/// moto's server, mended: the file says why.
const SERVER: &str = include_str!("server.py");
/// The server lives as long as somebody holds the other end of the shell's input. So it ends with the test's process,
/// however that ends.
const KEEPER: &str = r#""$0" "$@" </dev/null & server=$!; cat >/dev/null; kill -9 "$server"; wait "$server""#;

/// A running server.
#[derive(Debug)]
pub struct Moto {
    keeper: Child,
    endpoint: String,
}

impl Moto {
    /// Starts a server for the test of this name. If there is none on this machine, says `SKIP` and why.
    ///
    /// # Panics
    /// If there is one, but it does not start.
    pub fn start(test: &str) -> Option<Self> {
        let Some(program) = program() else {
            println!("SKIP {test}: no moto_server (cargo xtask setup installs it)");
            return None;
        };
        Some(Self::run(&program))
    }

    fn run(program: &Path) -> Self {
        let mut command = Command::new("sh");
        // The interpreter that `moto_server` was installed for stands beside it and knows its modules.
        command.args(["-c", KEEPER]).arg(program.with_file_name("python"));
        command.args(["-c", SERVER, "-H", "127.0.0.1", "-p", "0"]);
        command.env("PYTHONUNBUFFERED", "1").env("NO_COLOR", "1");
        // Nobody needs the 1,300 images that it would make up at the first call of EC2.
        command.env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut keeper = match command.spawn() {
            Ok(keeper) => keeper,
            Err(error) => panic!("starting {}: {error}", program.display()),
        };
        let words = keeper.stderr.take();
        let mut moto = Self { keeper, endpoint: String::new() };
        let (send, heard) = mpsc::channel();
        std::thread::spawn(move || {
            // To the end, not only to the port: a server whose words nobody reads would stop at a full pipe.
            for line in words.into_iter().flat_map(|words| BufReader::new(words).lines()).map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let mut said = Vec::new();
        while let Ok(line) = heard.recv_timeout(START) {
            if let Some((_, address)) = line.split_once("Running on ") {
                moto.endpoint = address.trim().to_owned();
                return moto;
            }
            said.push(line);
        }
        panic!("{} did not start: {}", program.display(), said.join("\n"));
    }

    /// Its URL, for every service.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What a client of any service is made from: this endpoint, [`REGION`] and credentials that mean nothing.
    pub fn config(&self) -> SdkConfig {
        let credentials = Credentials::new("AKIATESTTESTTESTTEST", "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url(&self.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// What another process needs in its environment to use it as if it were AWS.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The shell ends the server, then itself.
        let _ = self.keeper.wait();
    }
}

/// `moto_server`: as the environment says (`cargo xtask test` does), or as `PATH` does.
fn program() -> Option<PathBuf> {
    if let Some(told) = env::var_os(PROGRAM) {
        return Some(told.into()).filter(|path: &PathBuf| path.is_file());
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    let installed = |path: &PathBuf| path.is_file() && path.with_file_name("python").is_file();
    env::split_paths(&paths).map(|place| place.join("moto_server")).find(installed)
}
