stages = [
  { name = "test", users = ["111122223333"] },
  { name = "live" },
]
