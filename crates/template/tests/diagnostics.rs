//! The most common errors, as a user sees them.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

mod common;

use bakehouse_template::{MAX_BYTES, TemplateSource};
use common::{Fixture, messages, mistake, with_options};

macro_rules! snapshot {
    ($name:ident, $template:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(Fixture::new($template).report());
        }
    };
}

snapshot!(
    a_trailing_comma,
    "{\n  \"builders\": [{\n    \"type\": \"amazon-chroot\",\n    \"ami_name\": \"web\",\n  }]\n}\n"
);

snapshot!(a_comment, "{\n  // the base\n  \"builders\": []\n}\n");

snapshot!(an_unclosed_string, "{\n  \"builders\": [\"\n}\n");

snapshot!(
    an_unknown_option,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_nam": "web {{timestamp}}",
    "source_ami": "ami-0123456789abcdef0",
    "mount_partitions": "2"
  }]
}
"#
);

snapshot!(
    what_cannot_be_used,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web {{timestamp}}",
    "source_ami": "ami-0123456789abcdef0",
    "kms_key_id": "alias/web",
    "skip_metadata_api_check": true
  }],
  "provisioners": [{"type": "powershell"}, {"type": "ansible", "use_proxy": false}],
  "post-processors": ["manifest", ["artifice", "vagrant"]]
}
"#
);

snapshot!(
    a_colon_in_the_name,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web {{isotime}}",
    "source_ami": "ami-0123456789abcdef0"
  }]
}
"#
);

snapshot!(
    an_unknown_function_and_an_unknown_field,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web {{timestmap}}",
    "source_ami": "ami-0123456789abcdef0",
    "tags": {"Base": "a \"quoted\" {{.SourceAMIname}}", "By": "{{env `USER`}}"}
  }]
}
"#
);

snapshot!(
    a_missing_file,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web",
    "source_ami": "ami-0123456789abcdef0"
  }],
  "provisioners": [
    {"type": "shell", "script": "setpu.sh"},
    {"type": "file", "source": "files", "destination": "etc/app"}
  ]
}
"#
);

snapshot!(
    a_required_variable,
    r#"{
  "variables": {"base": null, "size": 8},
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web",
    "source_ami": "{{user `base`}}"
  }]
}
"#
);

snapshot!(
    braces_for_another_program,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web",
    "source_ami": "ami-0123456789abcdef0"
  }],
  "provisioners": [
    {"type": "shell", "inline": ["docker ps --format '{{json .}}'"]}
  ]
}
"#
);

snapshot!(
    a_duplicate_key,
    r#"{
  "builders": [{
    "type": "amazon-chroot",
    "ami_name": "web",
    "source_ami": "ami-0123456789abcdef0",
    "ami_name": "db"
  }]
}
"#
);

snapshot!(
    many_errors_at_once,
    r#"{
  "variables": {"accounts": "12345"},
  "builders": [{
    "type": "amazon-chroot",
    "region": "us-east",
    "access_key": "AKIAIOSFODNN7EXAMPLE",
    "source_ami": "debian-12",
    "from_scratch": "yes",
    "root_volume_size": "8 GB",
    "root_device_name": "/dev/xvda",
    "ami_users": "{{user `accounts`}}",
    "device_path": "/dev/nvme1n1",
    "chroot_mounts": [["bind", "/dev"]],
    "mount_path": "/mnt/{{.Devise}}"
  }],
  "provisioners": [
    {"type": "shel", "inline": ["true"]},
    {"type": "shell", "inline": ["true"], "script": "setup.sh", "timeout": 30},
    {"type": "shell", "inline": ["echo {{.SourceAMI}}"], "environment_vars": ["A"]}
  ]
}
"#
);

#[test]
fn a_template_or_variable_file_may_be_too_large() {
    let large = format!("{{\"_\": \"{}\"}}", "x".repeat(MAX_BYTES));
    assert_eq!(mistake(&large).1, "the template web.json cannot be read: it is larger than 4 MiB");
    let mut fixture = Fixture::new("{}").var_file("vars.json", &large);
    let told = messages(&fixture.load().unwrap_err());
    assert!(
        told.iter().any(|(_, told)| told.ends_with("vars.json cannot be read: it is larger than 4 MiB")),
        "{told:?}"
    );
    fixture.request.template = TemplateSource::Path("vars.json".into());
    let told = messages(&fixture.load().unwrap_err());
    assert_eq!(told[0].1, "the template vars.json cannot be read: it is larger than 4 MiB");
}

#[test]
fn quoted_text_is_cut_and_has_no_control_characters() {
    let key = format!("é\\u001b[31m{}z", "é".repeat(5000));
    let (_, message) = mistake(&with_options(&format!("\"{key}\": 1")));
    assert!(
        message.len() < 700 && message.contains(" … ") && message.ends_with("z` is not an option of amazon-chroot")
    );
    assert!(!message.contains('\u{1b}'), "{message}");
}
