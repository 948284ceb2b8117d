;;; Packages of Guix's own, from the archives that Debian has of them: other versions, or packed otherwise.
;;; 'make guix-catalogue' builds them with the tools of the machine, and runs their tests.

(use-modules (gnu packages)
             (guix base16)
             (guix gexp)
             (guix packages)
             (guix utils)
             (ice-9 match))

;; Name, version, file below Debian's pool, SHA-256.
(define %archives
  '(("ncurses" "6.5+20250216" "n/ncurses/ncurses_6.5+20250216.orig.tar.gz"
     "b37baafa436e7133bb12a185cb8f60e1599b1947e9f0181c76f3190acf28b6eb")
    ("readline" "8.2" "r/readline/readline_8.2.orig.tar.gz"
     "3feb7171f16a84ee82ca18a36d7b9be109a52c04f492a053331d7d1095007c35")
    ("bzip2" "1.0.8" "b/bzip2/bzip2_1.0.8.orig.tar.gz"
     "ab5a03176ee106d3f0fa90e381da478ddae405918153cca248e682cd0c4a2269")
    ("zlib" "1.3.1" "z/zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz"
     "60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb")
    ("libpng" "1.6.48" "libp/libpng1.6/libpng1.6_1.6.48.orig.tar.gz"
     "b17e99026055727e8cba99160c3a9a7f9af788e9f786daeadded5a42243f1dd0")
    ("less" "668" "l/less/less_668.orig.tar.gz"
     "2819f55564d86d542abbecafd82ff61e819a3eec967faa36cd3e68f1596a44b8")
    ("pcre2" "10.42" "p/pcre2/pcre2_10.42.orig.tar.gz"
     "c33b418e3b936ee3153de2c61cc638e7e4fe3156022a5c77d0711bcbb9d64f1f")
    ("sed" "4.9" "s/sed/sed_4.9.orig.tar.xz"
     "6e226b732e1cd739464ad6862bd1a1aba42d7982922da7a53519631d24975181")
    ("gawk" "5.2.1" "g/gawk/gawk_5.2.1.orig.tar.xz"
     "2337a0283b180ec1b9c727973a34781c6478b3ae9bcbdcca0a4dc49861d75a65")
    ("bash" "5.2.37" "b/bash/bash_5.2.37.orig.tar.xz"
     "370704c9c859f4060b7df19055e43bb9b5fa09d887699cf6ba87885c5485d36a")
    ("bash-minimal" "5.2.37" "b/bash/bash_5.2.37.orig.tar.xz"
     "370704c9c859f4060b7df19055e43bb9b5fa09d887699cf6ba87885c5485d36a")
    ("libsigsegv" "2.14" "libs/libsigsegv/libsigsegv_2.14.orig.tar.gz"
     "cdac3941803364cf81a908499beb79c200ead60b6b5b40cad124fd1e06caa295")
    ("make" "4.4.1" "m/make-dfsg/make-dfsg_4.4.1.orig.tar.xz"
     "3b16b00ea1079af9f8096bbc71ff7cc00c249fc6a862003da3c42308a0adb0fe")
    ("m4" "1.4.19" "m/m4/m4_1.4.19.orig.tar.xz"
     "63aede5c6d33b6d9b13511cd0be2cac046f2e70fd0a07aa9573a04a82783af96")
    ("grep" "3.11" "g/grep/grep_3.11.orig.tar.xz"
     "1db2aedde89d0dea42b16d9528f894c8d15dae4e190b59aecc78f5a951276eab")))

;; What other versions are without.
(define (with-phases arguments phases*)
  (substitute-keyword-arguments arguments
    ((#:phases phases #~%standard-phases) (phases* phases))))

;; What these archives, or the host's tools, are without.
(define (arguments-of name arguments)
  (match name
    ("ncurses" (with-phases arguments
                 (lambda (phases) #~(modify-phases #$phases (delete 'apply-rollup-patch)))))
    ;; Its tests of this version take Perl.
    ("less" '(#:tests? #f))
    ;; Debian's archives of these two are without the manual, from which gawk's library is taken.  gawk's
    ;; tests want locales that a machine need not have, and a gawk.
    ("gawk" (substitute-keyword-arguments
                (with-phases arguments
                  (lambda (phases)
                    #~(modify-phases #$phases
                        (delete 'adjust-test-infrastructure)
                        (add-after 'unpack 'do-without-manual
                          (lambda _
                            (substitute* "Makefile.in"
                              (("^(SUBDIRS = .*) doc awklib" _ start) start)))))))
              ((#:tests? _ #t) #f)))
    ("make" (with-phases arguments
              (lambda (phases)
                #~(modify-phases #$phases
                    (add-after 'unpack 'do-without-manual
                      (lambda _
                        (mkdir-p "doc")
                        (call-with-output-file "doc/Makefile.in"
                          (lambda (port) (display "all check install:\n" port)))
                        (with-output-to-file "doc/make.1" (lambda () (newline)))))))))
    ;; Where /bin/sh is dash, it says "Killed" of a child that was, and this check wants nothing said.
    ("m4" (with-phases arguments
            (lambda (phases)
              #~(modify-phases #$phases
                  (add-after 'unpack 'delete-check-of-killed-shell
                    (lambda _ (delete-file "checks/198.sysval")))))))
    (_ arguments)))

(define (inputs-of name inputs)
  (match name
    ("make" '())                        ;Guile, which takes an hour
    (_ inputs)))

(define (from-debian original)
  (match (assoc-ref %archives (package-name original))
    (#f original)
    ((version* file digest)
     (package
       (inherit original)
       (version version*)
       (replacement #f)
       (source (origin
                 (inherit (package-source original))
                 (uri (string-append "mirror://debian/pool/main/" file))
                 (hash (content-hash (base16-string->bytevector digest) sha256))
                 (patches '())
                 (snippet #f)))
       (arguments (arguments-of (package-name original) (package-arguments original)))
       (inputs (inputs-of (package-name original) (package-inputs original)))))))

(define from-debian* (package-mapping from-debian #:deep? #f))

(map (match-lambda ((name _ ...) (from-debian* (specification->package name)))) %archives)
