-- Requests with thousands of different tokens, one after the other: no cache of a few may flatter the server.
local tokens, place = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    tokens[#tokens + 1] = wrk.format("GET", "/api/auth/me", { ["Authorization"] = "Bearer " .. line })
  end
end

function request()
  place = place % #tokens + 1
  return tokens[place]
end
