// Package main is one binary that holds a whole Kubernetes control plane.
//
// The lab needs real API servers on machines that have neither a container
// engine nor downloads: only the Go module proxy. Linking etcd, the control
// plane, kwok, metrics-server and kubectl together compiles their shared
// packages once, which is most of the build. The first argument selects the
// program, the rest are that program's own arguments.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	metrics "sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

// run executes a cobra command the way the component's own main does.
func run(build func(ctx context.Context) *cobra.Command) func() int {
	return func() int {
		// Kubernetes components register their flags on the process-wide set
		// while they are linked; kwok panics when it meets theirs.
		pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return cli.Run(build(ctx))
	}
}

func plain(build func() *cobra.Command) func() int {
	return func() int { return cli.Run(build()) }
}

// runKwok does what kwok's own main does, without component-base's cli.Run, whose logging flags clash with kwok's.
// Its configuration and logging flags belong to no command: they are read first, and travel in the context.
func runKwok() int {
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
	early := pflag.NewFlagSet("global", pflag.ContinueOnError)
	early.ParseErrorsAllowlist.UnknownFlags = true
	early.Usage = func() {}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, _ = kwoklog.InitFlags(ctx, early)
	ctx, err := kwokconfig.InitFlags(ctx, early)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(early)
	if err := command.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func main() {
	programs := map[string]func() int{
		"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
		"kube-apiserver":          plain(apiserver.NewAPIServerCommand),
		"kube-controller-manager": plain(controllers.NewControllerManagerCommand),
		"kube-scheduler":          plain(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kubectl":                 plain(kubectl.NewDefaultKubectlCommand),
		"kwok":                    runKwok,
		"metrics-server": run(func(ctx context.Context) *cobra.Command {
			return metrics.NewMetricsServerCommand(ctx.Done())
		}),
	}
	if len(os.Args) > 1 {
		if program, ok := programs[os.Args[1]]; ok {
			os.Args = append([]string{os.Args[1]}, os.Args[2:]...)
			os.Exit(program())
		}
	}
	names := make([]string, 0, len(programs))
	for name := range programs {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(os.Stderr, "usage: kubelab PROGRAM [ARGUMENT]...\nprograms:", strings.Join(names, ", "))
	os.Exit(2)
}
