//! Templates and bundles to build from.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{disk::sh, fixture::Fixture, services::REGION};

impl Fixture {
    /// A template file: an amazon-chroot builder from the base image, with `options` in addition.
    pub(crate) fn template(&self, name: &str, options: Value, provisioners: Value) -> String {
        let mut builder = json!({
            "type": "amazon-chroot",
            "region": REGION,
            "ami_name": "{{uuid}}",
            "source_ami_filter": { "filters": { "name": "base" }, "owners": ["self"], "most_recent": true },
            "mount_path": self.dir.path().join("mnt/{{.Device}}"),
        });
        for (key, value) in options.as_object().unwrap() {
            match value {
                // `null` takes an option away.
                Value::Null => builder.as_object_mut().unwrap().remove(key),
                value => builder.as_object_mut().unwrap().insert(key.clone(), value.clone()),
            };
        }
        let path = self.dir.path().join(name);
        fs::write(&path, json!({ "builders": [builder], "provisioners": provisioners }).to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Uploads a bundle whose second entry leads out of it; its reference.
    pub(crate) fn climbing_bundle(&self) -> Value {
        let dir = self.dir.path().join("climbing");
        fs::create_dir_all(&dir).unwrap();
        let script = "import tarfile,io,json,sys\n\
            t=tarfile.open(sys.argv[1],'w:gz')\n\
            def add(name,data):\n    i=tarfile.TarInfo(name); i.size=len(data); t.addfile(i,io.BytesIO(data))\n\
            add('bakehouse.json',json.dumps({'bakehouse':1,'recipe':'x','template':'/x.json','working_directory':'/'}).encode())\n\
            add('../../climbed',b'x')\nt.close()\n";
        let file = dir.join("bundle.tar.gz");
        let made = Command::new("python3").args(["-c", script]).arg(&file).status().unwrap();
        assert!(made.success());
        let bytes = fs::read(&file).unwrap();
        let digest = sh(&format!("sha256sum {} | cut -d' ' -f1", file.display())).trim().to_owned();
        let key = format!("bundles/{digest}.tar.gz");
        let size = bytes.len();
        self.services.put_object(self.config["bucket"].as_str().unwrap(), &key, bytes);
        json!({ "key": key, "sha256": digest, "size": size })
    }
}
