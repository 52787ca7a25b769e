//! What functions need of the machine and the network.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use bakehouse_hcl::{DirectoryEntry, FileKind, Outside, Type, Value};
use bakehouse_protocol::splitmix64;
use jiff::Timestamp;

use super::evaluation::REMOTE_FUNCTIONS;
use crate::{context::Context, external::External, files::MAX_BYTES, inputs::Usage, secrets};

/// The machine that reads the template.
pub(super) struct Machine<'a> {
    pub(super) context: &'a Context,
    pub(super) usage: &'a Usage,
    pub(super) template_directory: &'a Path,
    /// For the defaults of variables, which can call `env` and nothing else.
    pub(super) is_for_defaults: bool,
    pub(super) external: Option<&'a dyn External>,
}

impl Outside for Machine<'_> {
    fn now(&self) -> Timestamp {
        let milliseconds = i64::try_from(self.context.now.0).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// From the seed of the context: a template that is loaded again gives the same.
    fn random(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(16) {
            let index = self.usage.next_randoms();
            let random = [index, index + 1].map(|index| splitmix64::nth(self.context.uuid_seed, index).to_le_bytes());
            chunk.copy_from_slice(&random.concat()[..chunk.len()]);
        }
    }

    fn working_directory(&self) -> &Path {
        &self.context.working_directory
    }

    fn template_directory(&self) -> &Path {
        self.template_directory
    }

    fn home_directory(&self) -> Option<PathBuf> {
        self.usage.record_environment("HOME");
        self.context.environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more shows that the file is too large.
        fs::File::open(self.context.on_disk(path))?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_BYTES {
            let message = format!("it is larger than {} MiB", MAX_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        self.usage.record_file(path);
        Ok(bytes)
    }

    fn file_kind(&self, path: &Path) -> io::Result<FileKind> {
        let kind = kind(&fs::metadata(self.context.on_disk(path))?);
        if kind == FileKind::File {
            self.usage.record_file(path);
        }
        Ok(kind)
    }

    fn list_directory(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.context.on_disk(path))? {
            let entry = entry?;
            // A link that leads nowhere is none of the files.
            if let (Ok(name), Ok(found)) = (entry.file_name().into_string(), fs::metadata(entry.path())) {
                entries.push(DirectoryEntry { name, kind: kind(&found) });
            }
        }
        Ok(entries)
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        if !self.function_names().contains(&name) {
            return None;
        }
        let arguments = match (name, arguments) {
            // Packer's function takes null in place of a key.
            ("aws_secretsmanager", [secret, Value::Null]) => std::slice::from_ref(secret),
            _ => arguments,
        };
        // As in every call of a function of HCL, a number or a bool becomes text where text is wanted.
        let converted: Vec<Option<Value>> = arguments.iter().map(|it| Type::String.convert(it.clone()).ok()).collect();
        let texts: Option<Vec<&str>> = converted.iter().map(|it| it.as_ref()?.as_str()).collect();
        let texts = texts.unwrap_or_default();
        if name == "env" { Some(self.environment(&texts)) } else { self.remote(name, &texts) }
    }

    fn function_names(&self) -> &[&str] {
        match self.is_for_defaults {
            true => &["env"],
            false => &REMOTE_FUNCTIONS,
        }
    }
}

impl Machine<'_> {
    fn environment(&self, texts: &[&str]) -> Result<Value, String> {
        let [name] = texts else {
            return Err("it takes the name of an environment variable".to_owned());
        };
        self.usage.record_environment(name);
        Ok(self.context.environment.get(*name).cloned().unwrap_or_default().into())
    }

    fn remote(&self, name: &str, texts: &[&str]) -> Option<Result<Value, String>> {
        let result = secrets::call(name, texts, self.external)?;
        Some(result.map(|text| {
            self.usage.record_secret(&text);
            text.into()
        }))
    }
}

fn kind(found: &fs::Metadata) -> FileKind {
    if found.is_file() {
        FileKind::File
    } else if found.is_dir() {
        FileKind::Directory
    } else {
        FileKind::Other
    }
}
