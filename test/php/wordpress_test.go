package php

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// wordpress is Debian's, which scripts/need unpacks.
const wordpress = "../../.tools/wordpress/usr/share/wordpress"

// blog is a site of WordPress with the plugin, a database of its own, and a theme that
// shows posts and nothing else.
type blog struct {
	t   *testing.T
	env []string
}

func newBlog(t *testing.T, s *site, addr string) *blog {
	t.Helper()
	if _, err := os.Stat(filepath.Join(wordpress, "wp-config.php")); err != nil {
		t.Fatal("WordPress is missing: run scripts/need wordpress")
	}
	u, err := url.Parse(testdb.MariaDB(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	content := t.TempDir()
	for to, from := range map[string]string{"plugins/roomtide": "../../clients/wordpress", "plugins/roomtide/lib": "../../clients/php/src"} {
		if err := os.CopyFS(filepath.Join(content, to), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"themes/plain/style.css": "/*\nTheme Name: Plain\n*/",
		"themes/plain/index.php": "<!doctype html><?php wp_head(); while (have_posts()) { the_post(); the_content(); } wp_footer();",
		"config.php": fmt.Sprintf(`<?php
define('DB_NAME', %q); define('DB_USER', %q); define('DB_PASSWORD', %q); define('DB_HOST', %q); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('WP_HOME', 'http://%s'); define('WP_SITEURL', WP_HOME); define('WP_CONTENT_DIR', %q); define('WP_CONTENT_URL', WP_HOME . '/content'); define('WP_DEFAULT_THEME', 'plain');
define('WP_HTTP_BLOCK_EXTERNAL', true); define('WP_ACCESSIBLE_HOSTS', %q); define('DISABLE_WP_CRON', true); define('WP_DEBUG', false);
define('ROOMTIDE_TOKEN_KEY', %q);
$table_prefix = 'wp_';
defined('ABSPATH') || exit;
require ABSPATH . 'wp-settings.php';
`, strings.TrimPrefix(u.Path, "/"), u.User.Username(), password, u.Host, addr, content, strings.Split(s.addr, ":")[0], filepath.Join(s.dir, "token.key")),
		"router.php": `<?php // what a web server does: files of the content, and WordPress
if (preg_match('{^/content/(.*\.js)$}', parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH), $m)) {
    header('Content-Type: text/javascript');
    readfile(__DIR__ . '/' . $m[1]);
    return true;
}
if (is_file($_SERVER['DOCUMENT_ROOT'] . $_SERVER['SCRIPT_NAME'])) {
    return false;
}
require $_SERVER['DOCUMENT_ROOT'] . '/index.php';
`,
	} {
		path := filepath.Join(content, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := filepath.Abs(wordpress)
	if err != nil {
		t.Fatal(err)
	}
	return &blog{t, s.env("WORDPRESS_CONFIG_FILE="+filepath.Join(content, "config.php"), "WORDPRESS="+root, "CONTENT="+content)}
}

// The plugin in WordPress: the settings, the block and the shortcode, the route for tokens,
// and the hooks of BuddyPress, which are run as BuddyPress runs them; it is not here itself.
func TestWordPress(t *testing.T) {
	s := newSite(t)
	b := newBlog(t, s, testprocess.FreeAddr(t))
	run(t, b.env, "wordpress.php", "install")
	run(t, b.env, "wordpress.php", "plugin")
	s.node.Kill()
	run(t, b.env, "wordpress.php", "away")
	s.node = program.StartWith(t, s.dir, s.addr, []string{"--guests", "off"})
	s.node.Ready()
	run(t, b.env, "wordpress.php", "back")
}
