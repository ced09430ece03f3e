-- Sign-ins of thousands of different people, one after the other, by a client that costs next to nothing.
local place, count, password = 0, 5000, "Secret123"

function request()
  place = place % count + 1
  local body = string.format('{"username":"user%d","password":"%s"}', place, password)
  return wrk.format("POST", "/api/auth/login", { ["Content-Type"] = "application/json" }, body)
end
