package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"

	"github.com/mergegate/mergegate/models"
)

func (a administration) createNamespace(ctx context.Context, args []string) error {
	path, err := parseFlags(flag.NewFlagSet("namespace create", flag.ContinueOnError), args, true)
	if err != nil {
		return err
	}
	if _, err := a.store.CreateNamespace(ctx, models.User{}, path); err != nil {
		return userError(path, err)
	}
	_, err = fmt.Fprintf(a.out, "Namespace %s created.\n", path)
	return err
}

// listNamespaces prints the free namespaces, at most models.MaxListed.
func (a administration) listNamespaces(ctx context.Context, args []string) error {
	if _, err := parseFlags(flag.NewFlagSet("namespace list", flag.ContinueOnError), args, false); err != nil {
		return err
	}
	list, _, err := a.store.FreeNamespaces(ctx, "", models.Page{Number: 1, Size: models.MaxListed})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tPATH\tPROJECTS")
	for _, ns := range list {
		fmt.Fprintf(table, "%d\t%s\t%d\n", ns.ID, ns.Path, ns.Projects)
	}
	return table.Flush()
}

func (a administration) deleteNamespace(ctx context.Context, args []string) error {
	path, err := parseFlags(flag.NewFlagSet("namespace delete", flag.ContinueOnError), args, true)
	if err != nil {
		return err
	}
	ns, err := a.store.Namespace(ctx, path)
	if err == nil {
		err = a.store.DeleteNamespace(ctx, models.User{}, ns.ID)
	}
	switch {
	case models.CodeOf(err) == models.CodeNotEmpty:
		return fmt.Errorf("the namespace %q has projects; delete them first", path)
	case models.KindOf(err) == models.KindNotFound:
		return fmt.Errorf("the namespace %q does not exist or belongs to a user", path)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(a.out, "Namespace %s deleted.\n", ns.Path)
	return err
}
