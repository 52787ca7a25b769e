variable "region" {
  type        = string
  default     = "us-east-1"
  description = "Where it is built"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+-[0-9]$", var.region))
    error_message = "The region must be one of AWS."
  }
}

variable "stages" {
  type = list(object({
    name  = string
    users = optional(list(string), [])
  }))
}

variable "token" {
  type      = string
  default   = env("TOKEN")
  sensitive = true
}

variables {
  size  = 10
  debug = false
}

locals {
  stamp = formatdate("YYYYMMDDhhmm", timestamp())
  users = distinct(flatten([for stage in var.stages : stage.users]))
  tags = merge(
    { for stage in var.stages : title(stage.name) => length(stage.users) > 0 ? "shared" : "private" },
    { Size = format("%03d", var.size), Base = data.amazon-ami.debian.name },
  )
}

local "motd" {
  sensitive  = true
  expression = <<-EOT
    Stages:
    %{for stage in var.stages~}
    - ${stage.name}
    %{endfor~}
    Token: ${var.token}
  EOT
}
