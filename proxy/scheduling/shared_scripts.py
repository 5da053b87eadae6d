"""The Lua scripts by which processes count quotas and seats together in Redis.

Of each window there are a sorted set of the requests that count (score: until when, in
milliseconds), a hash of their input tokens with the sum, and a hash of the day's
numbers. Of each account there is a sorted set of the seats that are taken (score: the
end of the lease). Redis says what time it is: the clocks of servers differ.
"""

#: Waits that are no number of milliseconds.
NO_SEAT, DAY_OVER = -1, -2
#: In the place of a limit: there is no day that several windows share.
NOT_JOINT = -2

_CLOCK = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

# Takes what no longer counts out of a window and its sum of tokens.
_TRIM = """
local function trim(window, tokens)
  local gone = redis.call('ZRANGEBYSCORE', window, '-inf', now)
  for _, member in ipairs(gone) do
    local used = tonumber(redis.call('HGET', tokens, member) or 0)
    if used > 0 then redis.call('HINCRBY', tokens, 'sum', -used) end
    redis.call('HDEL', tokens, member)
  end
  redis.call('ZREMRANGEBYSCORE', window, '-inf', now)
  if redis.call('EXISTS', window) == 0 then redis.call('DEL', tokens) end
end
"""

# Keys: the mark, then window, tokens, day, seats and joint day of each candidate.
# Arguments: member, how long a request counts, how long a seat is leased, how long a
# day is kept; then concurrency, rpm, tpm, rpd (-1: no limit), tokens and the joint
# day's limit of each.
# Returns the number of the candidate that was taken (0: none), whether the mark was
# there, and the wait of each that was refused.
RESERVE = f"""
{_CLOCK}
{_TRIM}
local function until_fits(window, tokens, most, want)
  local sum = tonumber(redis.call('HGET', tokens, 'sum') or 0)
  if want > most then want = most end
  if sum + want <= most then return 0 end
  local members = redis.call('ZRANGE', window, 0, -1, 'WITHSCORES')
  for i = 1, #members, 2 do
    sum = sum - tonumber(redis.call('HGET', tokens, members[i]) or 0)
    if sum + want <= most then return members[i + 1] - now end
  end
  return 0
end
local function wait(window, tokens, day, seats, joint, a)
  local most, rpm, tpm, rpd, want = tonumber(ARGV[a]), tonumber(ARGV[a + 1]),
    tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  if rpd >= 0 and tonumber(redis.call('HGET', day, 'n') or 0) >= rpd then
    return {DAY_OVER}
  end
  local together = tonumber(ARGV[a + 5])
  if together >= 0 and tonumber(redis.call('HGET', joint, 'n') or 0) >= together then
    return {DAY_OVER}
  end
  if most > 0 then
    redis.call('ZREMRANGEBYSCORE', seats, '-inf', now)
    if redis.call('ZCARD', seats) >= most then return {NO_SEAT} end
  end
  trim(window, tokens)
  local longest = 0
  local count = redis.call('ZCARD', window)
  if rpm == 0 or tpm == 0 then longest = 60000 end
  if rpm > 0 and count >= rpm then
    local leaves = redis.call('ZRANGE', window, count - rpm, count - rpm, 'WITHSCORES')
    longest = leaves[2] - now
  end
  if tpm > 0 then
    longest = math.max(longest, until_fits(window, tokens, tpm, want))
  end
  return longest
end
local answer = {{0, redis.call('EXISTS', KEYS[1])}}
local member, counts, lease, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
for i = 0, (#KEYS - 1) / 5 - 1 do
  local k, a = 2 + i * 5, 5 + i * 6
  local window, tokens, day, seats = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local joint = KEYS[k + 4]
  local longest = wait(window, tokens, day, seats, joint, a)
  if longest == 0 then
    local want = tonumber(ARGV[a + 4])
    redis.call('ZADD', window, now + counts, member)
    redis.call('PEXPIRE', window, counts)
    if want > 0 then
      redis.call('HSET', tokens, member, want)
      redis.call('HINCRBY', tokens, 'sum', want)
    end
    redis.call('PEXPIRE', tokens, counts)
    redis.call('HINCRBY', day, 'n', 1)
    redis.call('HINCRBY', day, 't', want)
    redis.call('EXPIRE', day, kept)
    if tonumber(ARGV[a + 5]) ~= {NOT_JOINT} then
      redis.call('HINCRBY', joint, 'n', 1)
      redis.call('EXPIRE', joint, kept)
    end
    if tonumber(ARGV[a]) > 0 then
      redis.call('ZADD', seats, now + lease, member)
      redis.call('PEXPIRE', seats, lease)
    end
    answer[1] = i + 1
    return answer
  end
  answer[#answer + 1] = math.ceil(longest)
end
return answer
"""

# Keys: window, tokens, day, seats, joint day. Arguments: member, tokens (-1: as
# reserved), whether it was sent, how long it counts from now on at most, the tokens
# reserved, whether there is a joint day.
SETTLE = f"""
{_CLOCK}
{_TRIM}
local member, used, reserved = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5])
redis.call('ZREM', KEYS[4], member)
trim(KEYS[1], KEYS[2])
if ARGV[3] == '0' then used = 0 end
local counted = redis.call('ZSCORE', KEYS[1], member)
if used >= 0 and counted then
  local before = tonumber(redis.call('HGET', KEYS[2], member) or 0)
  redis.call('HSET', KEYS[2], member, used)
  redis.call('HINCRBY', KEYS[2], 'sum', used - before)
  redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[1]), 1))
end
local known = redis.call('EXISTS', KEYS[3]) == 1
if used >= 0 and known then redis.call('HINCRBY', KEYS[3], 't', used - reserved) end
if ARGV[3] == '0' then
  if known then redis.call('HINCRBY', KEYS[3], 'n', -1) end
  if ARGV[6] == '1' and redis.call('EXISTS', KEYS[5]) == 1 then
    redis.call('HINCRBY', KEYS[5], 'n', -1)
  end
  redis.call('ZREM', KEYS[1], member)
  redis.call('HDEL', KEYS[2], member)
elseif counted then
  local ends = math.min(tonumber(counted), now + tonumber(ARGV[4]))
  redis.call('ZADD', KEYS[1], 'XX', ends, member)
end
return 1
"""

# Keys: window, tokens, day of each. Returns for each: requests and tokens of the
# minute, requests and tokens of the day, and when what counts will count no more
# (milliseconds from now, with its tokens).
USAGE = f"""
{_CLOCK}
{_TRIM}
local answer = {{}}
for k = 1, #KEYS, 3 do
  trim(KEYS[k], KEYS[k + 1])
  local ends = {{}}
  local members = redis.call('ZRANGE', KEYS[k], 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
  for i = 1, #members, 2 do
    ends[#ends + 1] = members[i + 1] - now
    ends[#ends + 1] = tonumber(redis.call('HGET', KEYS[k + 1], members[i]) or 0)
  end
  answer[#answer + 1] = {{
    redis.call('ZCARD', KEYS[k]),
    tonumber(redis.call('HGET', KEYS[k + 1], 'sum') or 0),
    tonumber(redis.call('HGET', KEYS[k + 2], 'n') or 0),
    tonumber(redis.call('HGET', KEYS[k + 2], 't') or 0),
    ends,
  }}
end
return answer
"""

# Keys: window, tokens, day. Arguments: how long a day is kept, requests and tokens of
# the day, how many members there are, how long they are kept; then for each: member,
# milliseconds that it still counts, tokens. What is there already is never made less or counted twice.
SEED = f"""
{_CLOCK}
{_TRIM}
trim(KEYS[1], KEYS[2])
local changed = 0
for i, field in ipairs({{'n', 't'}}) do
  local right = tonumber(ARGV[1 + i])
  if tonumber(redis.call('HGET', KEYS[3], field) or 0) < right then
    redis.call('HSET', KEYS[3], field, right)
    changed = 1
  end
end
redis.call('EXPIRE', KEYS[3], ARGV[1])
local missing = tonumber(ARGV[4]) - redis.call('ZCARD', KEYS[1])
for i = 0, missing - 1 do
  local a = 6 + i * 3
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[a + 1]), ARGV[a])
  redis.call('HSET', KEYS[2], ARGV[a], ARGV[a + 2])
  redis.call('HINCRBY', KEYS[2], 'sum', ARGV[a + 2])
  changed = 1
end
if missing > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return changed
"""
