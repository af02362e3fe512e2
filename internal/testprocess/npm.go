package testprocess

import (
	"context"
	"fmt"
	"os/exec"
)

// InstallNPM installs packages of npm ("name@version", or files) into dir/node_modules. No
// script of a package runs.
func InstallNPM(ctx context.Context, dir string, packages ...string) error {
	args := []string{"install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir}
	out, err := exec.CommandContext(ctx, "npm", append(args, packages...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("npm install: %w\n%s", err, out)
	}
	return nil
}
