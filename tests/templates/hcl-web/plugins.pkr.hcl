packer {
  required_version = ">= 1.7.0, < 2.0.0"
  required_plugins {
    amazon = {
      version = "~> 1.2"
      source  = "github.com/hashicorp/amazon"
    }
  }
}
