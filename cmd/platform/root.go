package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes. Scripts may tell a mistake of theirs from a failure.
const (
	exitOK      = 0
	exitFailure = 1 // something did not work
	exitUsage   = 2 // the command line or the configuration is wrong
)

// cli is one run of the command, with what it takes from the outside.
type cli struct {
	environ  []string
	stdout   io.Writer
	stderr   io.Writer
	defaults map[string]string // built-in defaults that a command replaces
}

// execute runs the command line and returns the exit code. Every error is one
// line on stderr.
func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.rootCommand()
	root.SetArgs(args)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintln(c.stderr, "platform: "+oneLine(err.Error()))
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

// errReported is returned by commands that have already said what is wrong.
var errReported = errors.New("already reported")

// oneLine keeps an error on one line, whatever a library put into it.
func oneLine(s string) string {
	var line strings.Builder
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if line.Len() > 0 && !strings.HasSuffix(line.String(), ":") {
			line.WriteByte(';')
		}
		if line.Len() > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(part)
	}
	return line.String()
}

func (c *cli) rootCommand() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "platform",
		Short: "Tidewire: self-hosted realtime messaging, compatible with Pusher",
		Long: "Tidewire: self-hosted realtime messaging, compatible with Pusher.\n\n" +
			"Start with `platform dev`: it runs everything on this machine and prints code to paste.",
		Example: "  platform dev\n  platform serve --listen :6001\n  platform apps create --tenant acme --name Chat --json",
	})
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(flagError)
	addSettingFlags(root.PersistentFlags())
	root.AddCommand(
		c.serveCommand(), c.devCommand(), c.migrateCommand(), c.appsCommand(),
		c.tenantsCommand(), c.usersCommand(), c.keysCommand(), c.tokensCommand(), c.plansCommand(),
		c.applyCommand(), c.exportCommand(), c.backupCommand(), c.restoreCommand(), c.moveCommand(), c.redisCommand(),
		c.webhooksCommand(), c.triggerCommand(), c.subscribeCommand(), c.benchCommand(), c.doctorCommand(),
		c.healthcheckCommand(), c.versionCommand(),
	)
	return root
}

// addSettingFlags makes a flag of every setting. Flags are text here; the
// configuration parses all sources alike.
func addSettingFlags(flags *pflag.FlagSet) {
	flags.String(configFile, "", "YAML file with settings, default "+defaultConfigFile+" if there ("+envName(configFile)+")")
	for _, s := range settings {
		help := fmt.Sprintf("%s (%s)", s.help, envName(s.name))
		flags.String(strings.TrimPrefix(flagName(s.name), "--"), s.def, help)
	}
}

// group makes a command that only holds others: alone it shows its help, and
// an unknown sub-command is an error naming the nearest.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var known []string
		for _, sub := range cmd.Commands() {
			known = append(known, sub.Name())
		}
		hint := "; `" + cmd.CommandPath() + " --help` lists all"
		if best := nearest(args[0], known); best != "" {
			hint = "; did you mean " + best + "?"
		}
		return usagef("unknown command %q%s", args[0], hint)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// flagError names the nearest known flag for one that is not.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usagef("%w; see `%s --help`", err, cmd.CommandPath())
	}
	name := unknown.GetSpecifiedName()
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	hint := "; see `" + cmd.CommandPath() + " --help`"
	if best := nearest(name, known); best != "" {
		hint = "; did you mean --" + best + "?"
	}
	return usagef("unknown flag --%s%s", name, hint)
}

// arguments checks the number of positional arguments; most < 0 is any number.
func arguments(least, most int, want string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || (most >= 0 && len(args) > most) {
			return usagef("want %s, got %d arguments; see `%s --help`", want, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// load reads the configuration for a command.
func (c *cli) load(cmd *cobra.Command) (Config, error) {
	cfg, _, err := loadConfig(cmd.Flags(), c.environ, c.defaults)
	return cfg, err
}

// printJSON writes one value, indented, as every --json does unless it streams.
func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON for programs")
}

// withSettings marks the commands whose help lists every setting.
func withSettings(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{"settings": "yes"}
	return cmd
}

const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}{{if .HasParent}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{end}}{{if (index .Annotations "settings")}}

Settings (flag, or environment variable, or YAML file):
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{else}}

Every setting listed by "platform serve --help" works here too, for example --data-dir.{{end}}
`
