data "amazon-ami" "debian" {
  filters = {
    name                = "debian-12-amd64-*"
    virtualization-type = "hvm"
  }
  owners      = ["136693071363"]
  most_recent = true
  region      = var.region
}

data "amazon-parameterstore" "channel" {
  name            = "/images/channel"
  with_decryption = true
}

data "amazon-secretsmanager" "license" {
  name          = "images/license"
  key           = "value"
  version_stage = "AWSCURRENT"
}

data "amazon-secretsmanager" "older" {
  name       = "images/license"
  version_id = "01234567-89ab-cdef-0123-456789abcdef"
}

data "null" "fixed" {
  input = "fixed"
}

source "amazon-chroot" "web" {
  region           = var.region
  source_ami       = data.amazon-ami.debian.id
  ami_name         = "web-${source.name}-${local.stamp}"
  ami_users        = local.users
  root_volume_size = var.size
  tags             = local.tags

  dynamic "tag" {
    for_each = { for index, stage in var.stages : stage.name => index }
    iterator = stage
    content {
      key   = "Stage-${stage.key}"
      value = stage.value
    }
  }

  deregistration_protection {
    with_cooldown = false
    enabled       = true
  }
}

source "amazon-ebs" "elsewhere" {
  instance_type = "t3.small"
}

build {
  name        = "images"
  description = "The web server, once for each size"
  sources     = ["source.amazon-ebs.elsewhere"]

  source "amazon-chroot.web" {
    name            = "small"
    ami_description = "small, of {{ .SourceAMIName }}"
  }

  source "source.amazon-chroot.web" {
    name            = "large"
    ami_description = "large"
    ami_regions     = ["eu-west-1"]

    bakehouse_account_copies {
      role_arn = "arn:aws:iam::444455556666:role/images"
      regions  = [var.region]
    }

    bakehouse_account_copies {
      role_arn = "arn:aws:iam::777788889999:role/images"
    }
  }

  provisioner "shell" {
    name           = "greet"
    inline         = ["echo ${build.SourceAMI} ${source.name} ${path.root != "" ? basename(path.cwd) : "none"} ${packer.version}"]
    only           = ["amazon-chroot.small"]
    max_retries    = 1
    pause_before   = "1s"
    timeout        = "5m"
    continue_on_error = true
    env = {
      CHANNEL = data.amazon-parameterstore.channel.value
      FIXED   = data.null.fixed.output
    }
    override = {
      large = { inline = ["echo large"] }
    }
  }

  provisioner "file" {
    content     = local.motd
    destination = "/etc/motd"
  }

  dynamic "provisioner" {
    for_each = var.stages[*].name
    labels   = ["shell"]
    content {
      inline = ["echo ${provisioner.value}"]
    }
  }

  error-cleanup-provisioner "shell" {
    inline = ["dmesg | tail"]
  }

  post-processor "manifest" {
    output     = "manifest.json"
    strip_path = true
    custom_data = {
      stamp = local.stamp
    }
  }

  post-processors {
    post-processor "checksum" {
      checksum_types = ["sha256"]
    }
    post-processor "shell-local" {
      name   = "announce"
      inline = ["echo ${build.name}"]
      except = ["amazon-chroot.small"]
    }
  }
}
