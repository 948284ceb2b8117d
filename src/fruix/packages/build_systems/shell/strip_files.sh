for file; do
    case $(od -A n -v -t x1 -N 8 "$file" | tr -d ' \t\n') in
    7f454c46*) strip --strip-unneeded "$file" 2>/dev/null || strip "$file" || : ;;
    213c617263683e0a) strip -g "$file" || : ;;
    esac
done
