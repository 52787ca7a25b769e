# Every function of HCL2, but for those that ask other services.
locals {
  strings = [
    chomp("a\n"), endswith("ab", "b"), format("%s-%03d", "a", 7), join(",", formatlist("%s!", ["a", "b"])),
    indent(2, "a\nb"), lower("A"), regex("[a-z]+", "12ab"), join("", regexall("[a-z]", "a1b")), regex_replace("a1", "[0-9]", "-"),
    replace("a.b", ".", "-"), split(",", "a,b")[1], startswith("ab", "a"), strcontains("abc", "b"), strrev("ab"),
    substr("hello", 1, 3), title("a b"), trim("?a?", "?"), trimprefix("ab", "a"), trimspace(" a "), trimsuffix("ab", "b"), upper("a"),
  ]
  collections = jsonencode({
    alltrue         = alltrue([true, true])
    anytrue         = anytrue([false, true])
    chunklist       = chunklist(["a", "b", "c"], 2)
    coalesce        = coalesce("", "b")
    coalescelist    = coalescelist([], ["a"])
    compact         = compact(["a", "", "b"])
    concat          = concat(["a"], ["b"])
    contains        = contains(["a"], "a")
    distinct        = distinct(["a", "a"])
    element         = element(["a", "b"], 3)
    flatten         = flatten([["a"], ["b"]])
    index           = index(["a", "b"], "b")
    keys            = keys({ a = 1 })
    length          = length("日本")
    lookup          = lookup({ a = 1 }, "b", 2)
    merge           = merge({ a = 1 }, { b = 2 })
    range           = range(3)
    reverse         = reverse(["a", "b"])
    setintersection = setintersection(["a", "b"], ["b"])
    setproduct      = setproduct(["a"], ["b", "c"])
    setunion        = setunion(["a"], ["b"])
    slice           = slice(["a", "b", "c"], 1, 2)
    sort            = sort(["b", "a"])
    sum             = sum([1, 2])
    values          = values({ a = 1 })
    zipmap          = zipmap(["a"], [1])
  })
  numbers = [abs(-1), ceil(1.1), floor(1.9), log(8, 2), max(1, 2), min(1, 2), parseint("ff", 16), pow(2, 3), signum(-3)]
  types   = [can(local.strings[0]), convert("1", number), try(local.missing.x, "else")]
  encodings = [
    base64decode("YQ=="), base64encode("a"), length(base64gzip("a")) > 0, csvdecode("a,b\n1,2")[0].b, jsondecode("[1]")[0],
    textdecodebase64("YQA=", "UTF-16LE"), textencodebase64("a", "UTF-16LE"), urlencode("a b"), yamldecode("a: 1").a, yamlencode({ a = 1 }),
  ]
  hashes = [
    length(bcrypt("a", 4)), md5("a"), rsadecrypt("TV/nTXY88Xd+KSu2WNspo6qvGymhNM5T88+lh+ISEGlzS2ALqs5ElJ66KgEUiXBOiKCWz5OWY0kaTL0BvRFogORJBrrBlYnnFNJCL3ALNUwXMXTVv0cbeTHvXJeaj7NBXLFfDNE7CGZuZGG0raMwBVASKA9C5fM/mf8jlM4eUyk=", file("files/key.pem")), sha1("a"), sha256("a"), sha512("a"), length(uuidv4()),
    uuidv5("dns", "example.org"),
  ]
  files = [
    basename(abspath("files")), basename("a/b"), dirname("a/b"), file("files/text.txt"), filebase64("files/text.txt"),
    fileexists("files/none"), join(",", fileset("files", "*.txt")), pathexpand("a"), templatefile("files/hello.tmpl", { name = "you" }),
  ]
  times = [
    formatdate("YYYY-MM-DD", timestamp()), legacy_isotime("2006"), legacy_strftime("%Y"), rfc3339_parse("2026-01-02T03:04:05Z").year,
    timeadd("2026-01-02T03:04:05Z", "1h"), unix_timestamp_parse(0).year,
  ]
  network = concat([cidrhost("10.0.0.0/8", 1), cidrnetmask("10.0.0.0/8"), cidrsubnet("10.0.0.0/8", 8, 1)], cidrsubnets("10.0.0.0/8", 8, 8))
}

source "amazon-chroot" "functions" {
  source_ami = "ami-0123456789abcdef0"
  ami_name   = "functions-${sha256(jsonencode([local.strings, local.numbers, local.types, local.encodings, local.files, local.times]))}"
  tags = {
    Hashes  = substr(join(" ", [for value in local.hashes : convert(value, string)]), 0, 255)
    Network = join(" ", local.network)
  }
}

build {
  sources = ["amazon-chroot.functions"]

  provisioner "shell" {
    inline = concat(
      [for value in concat(local.strings, local.types, local.encodings, local.files, local.times) : "echo ${jsonencode(value)}"],
      ["echo ${local.collections}", "echo ${join(" ", local.numbers)}"],
    )
  }
}
